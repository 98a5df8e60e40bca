use std::rc::Rc;

use aiopool::Pool;

fn main() {
    let pool = Pool::new(1);
    pool.spawn_n(async { Rc::new(7) });
}
