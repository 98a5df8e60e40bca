use std::rc::Rc;

use aiopool::Pool;

async fn page() {
    let counter = Rc::new(7);
    std::future::ready(()).await;
    drop(counter);
}

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(page());
    let _map = pool.map(0..3, |_| page());
}
