use aiopool::Pool;

fn main() {
    let pool = Pool::new(1);
    let address = String::from("localhost");
    pool.spawn_n(async { println!("{address}") });
}
