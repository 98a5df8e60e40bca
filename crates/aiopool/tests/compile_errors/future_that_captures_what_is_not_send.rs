use std::rc::Rc;

use aiopool::Pool;

fn main() {
    let pool = Pool::new(1);
    let counter = Rc::new(7);
    let _exec = pool.exec(async move { drop(counter) });
}
