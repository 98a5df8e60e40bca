use aiopool::Pool;

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(|| async { 7 });
    pool.spawn_n(async || 7);
}
