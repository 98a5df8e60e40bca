//! The `PostgreSQL` of `tests/services/servers.py`, which admits 17 connections, through a pool of
//! 10: sqlx does not wait for the server to let go of a connection that it closes.

use std::env;

use aiopool::Pool;
use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};

const SIZE: usize = 10;
const JOBS: i32 = 1_000;
const QUERIES: i32 = 20;

/// A connection of its own, which asks for numbers and adds them.
async fn query(url: String, job: i32) -> Result<i32, sqlx::Error> {
    let mut connection = PgConnection::connect(&url).await?;
    let mut sum = 0;
    for _ in 0..QUERIES {
        let number: i32 = sqlx::query_scalar("SELECT $1::int")
            .bind(job)
            .fetch_one(&mut connection)
            .await?;
        sum += number;
    }
    connection.close().await?;
    Ok(sum)
}

fn url() -> String {
    env::var("POSTGRES_URL").expect("`make test-services` starts the servers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_queries_stay_within_the_connections_and_would_not_without_the_pool() {
    let pool = Pool::new(SIZE);
    let url = url();
    let sums = pool.map(0..JOBS, {
        let url = url.clone();
        move |job| query(url.clone(), job)
    });
    for (job, sum) in (0..).zip(sums.await) {
        let sum = sum.expect("no job panics").expect("there is a connection");
        assert_eq!(sum, job * QUERIES);
    }
    assert_eq!(pool.executed(), 1_000);

    // One after the other, for they share the server.
    let results = join_all((0..100).map(|job| query(url.clone(), job))).await;
    let refused = |result: &Result<i32, sqlx::Error>| {
        let error = result
            .as_ref()
            .err()
            .and_then(sqlx::Error::as_database_error);
        error.is_some_and(|error| error.code().as_deref() == Some(TOO_MANY_CONNECTIONS))
    };
    assert!(results.iter().any(refused));
}

const TOO_MANY_CONNECTIONS: &str = "53300";
