#![deny(unused_must_use)]

use aiopool::{Job, Pool};

fn main() {
    let pool = Pool::new(1);
    pool.spawn(async {});
    pool.exec(async {});
    pool.map(0..3, |_| async {});
    pool.itermap(0..3, |_| async {});
    pool.itermap_ordered(0..3, |_| async {}).ahead(3);
    pool.join();
    pool.cancel_all();
    async {}.with_callback(|_| async {});
    Pool::new(2);
    Pool::builder(2);
}
