use aiopool::{Job, Pool};

async fn done() {}

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(async { 7 }.with_callback(|| async {}));
    pool.spawn_n(async { 7 }.with_callback(done()));
}
