#![deny(unused_must_use)]

use aiopool::Pool;

async fn run(pool: Pool) {
    pool.exec(async {}).await;
    pool.spawn_n(async {}).await;
}

fn main() {
    let _run = run(Pool::new(1));
}
