use aiopool::Pool;

fn main() {
    let _pool = Pool::new(4_i32);
    let _pool = Pool::new(-1);
}
