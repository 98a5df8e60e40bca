use aiopool::Pool;

async fn page() -> u8 {
    7
}

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(page);
    let _exec = pool.exec(page);
}
