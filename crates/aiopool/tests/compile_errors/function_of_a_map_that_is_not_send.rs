use std::rc::Rc;

use aiopool::Pool;

fn main() {
    let pool = Pool::new(1);
    let counter = Rc::new(7);
    let _map = pool.map(0..3, move |n| std::future::ready(n + *counter));
}
