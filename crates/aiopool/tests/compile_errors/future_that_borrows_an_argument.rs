use aiopool::Pool;

async fn fetch(address: &str) -> usize {
    address.len()
}

pub async fn crawl_one_by_one(pool: &Pool, addresses: &[String]) {
    for address in addresses {
        pool.spawn(fetch(address)).await;
    }
}

pub async fn crawl(pool: &Pool, addresses: &[String]) {
    pool.map(addresses, |address| fetch(address)).await;
}

fn main() {}
