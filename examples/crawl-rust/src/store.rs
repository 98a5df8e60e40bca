//! The database file that keeps the pages and their links.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::Connection;
use tokio::task::spawn_blocking;

use crate::page::Page;
use crate::tally::Counts;

/// Creates the tables in the file at `path`.
pub(crate) fn create(path: &Path) -> rusqlite::Result<()> {
    Connection::open(path)?.execute_batch(SCHEMA)
}

/// Reads back how much is stored in the file at `path`.
pub(crate) fn count(path: &Path) -> rusqlite::Result<Counts> {
    Connection::open(path)?.query_one(COUNT, [], |row| {
        Ok(Counts {
            pages: row.get(0)?,
            links: row.get(1)?,
            bytes: row.get(2)?,
        })
    })
}

/// Saves pages, `size` at a time at most: each needs a connection of its own meanwhile.
pub(crate) struct Store {
    size: usize,
    idle: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file at `path` to save `size` pages at a time.
    pub(crate) fn open(path: &Path, size: usize) -> rusqlite::Result<Self> {
        let idle = (0..size).map(|_| connect(path)).collect::<Result<_, _>>()?;
        Ok(Self {
            size,
            idle: Mutex::new(idle),
        })
    }

    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Stores a page with its links, wholly or not at all.
    ///
    /// Must not be cancelled: the thread that has begun to write would go on.
    pub(crate) async fn save(self: Arc<Self>, page: Page) -> anyhow::Result<()> {
        Ok(spawn_blocking(move || self.insert(&page)).await??)
    }

    fn insert(&self, page: &Page) -> rusqlite::Result<()> {
        let connection = self.idle().pop();
        let mut connection = connection.expect("no more saves at a time than connections");
        let result = insert(&mut connection, page);
        self.idle().push(connection);
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nothing panics under this lock")
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn insert(connection: &mut Connection, page: &Page) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT INTO page VALUES (?, ?, ?)",
        (page.url.as_str(), page.bytes, page.duration.as_secs_f64()),
    )?;
    for target in &page.links {
        transaction
            .prepare_cached("INSERT INTO link VALUES (?, ?)")?
            .execute((page.url.as_str(), target.as_str()))?;
    }
    transaction.commit()
}

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
CREATE TABLE page (url TEXT PRIMARY KEY, bytes INTEGER NOT NULL, seconds REAL NOT NULL);
CREATE TABLE link (source TEXT NOT NULL REFERENCES page, target TEXT NOT NULL);
";

const COUNT: &str = "
SELECT count(*), (SELECT count(*) FROM link), coalesce(sum(bytes), 0) FROM page
";
