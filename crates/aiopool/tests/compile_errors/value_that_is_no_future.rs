use aiopool::Pool;

fn page() -> u8 {
    7
}

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(page());
    let _map = pool.map(0..3, |n| n * 2);
}
