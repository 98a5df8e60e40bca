//! tokio-console: what it would show of a pool.

#![cfg(tokio_unstable)]

use std::collections::HashSet;
use std::time::Duration;

use aiopool::Pool;
use console_api::instrument::InstrumentRequest;
use console_api::instrument::instrument_client::InstrumentClient;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const SLOTS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_shows_a_task_for_each_slot_and_none_for_jobs_that_wait() -> anyhow::Result<()> {
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let layer = console_subscriber::ConsoleLayer::builder()
        .server_addr(address)
        .publish_interval(Duration::from_millis(50))
        .spawn();
    tracing_subscriber::registry().with(layer).init();

    static GATE: Semaphore = Semaphore::const_new(0);
    let pool = Pool::new(SLOTS);
    let handles = pool.map_n(0..100, |_| async {
        let _permit = GATE.acquire().await.expect("nobody closes it");
    });
    let mut workers = HashSet::new();
    let watch = async {
        let mut client = loop {
            match InstrumentClient::connect(format!("http://{address}")).await {
                Ok(client) => break client,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        let mut updates = client
            .watch_updates(InstrumentRequest {})
            .await?
            .into_inner();
        while workers.len() < SLOTS {
            let update = updates.message().await?.expect("it goes on");
            for task in update
                .task_update
                .into_iter()
                .flat_map(|update| update.new_tasks)
            {
                let file = task.location.and_then(|location| location.file);
                if file.is_some_and(|file| file.contains("aiopool/src")) {
                    workers.insert(task.id.map(|id| id.id));
                }
            }
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(30), watch).await??;
    assert_eq!(workers.len(), SLOTS);
    GATE.add_permits(SLOTS);
    for handle in handles {
        handle.await?;
    }
    Ok(())
}
