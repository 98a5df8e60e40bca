use aiopool::{Job, Pool};

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(async { 7 }.with_callback(|n: u8| async move { n + 1 }));
}
