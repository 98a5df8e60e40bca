//! Jobs that hand in jobs: each folder is one, and queues the folders in it with `spawn_n`.
//!
//! `cargo run --example recursion [FOLDER]`

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aiopool::Pool;
use tokio::fs::read_dir;

#[tokio::main]
async fn main() {
    let root = env::args_os().nth(1);
    let root = root.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let walk = Arc::new(Walk {
        pool: Pool::new(4),
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    });
    walk.enter(root);
    // Nobody knows how many jobs there will be: the walk is over when none is left.
    walk.pool.join().await;

    let (files, bytes) = (walk.files.load(Relaxed), walk.bytes.load(Relaxed));
    let folders = walk.pool.executed();
    println!("{files} files in {folders} folders, {bytes} bytes in all");
}

struct Walk {
    pool: Pool,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Walk {
    /// Queues a folder.
    // No `async fn`: one that hands in itself does not compile, for the compiler would have to know
    // whether its future is `Send` to find out. And `spawn_n`, as nobody waits for a folder in it.
    fn enter(self: &Arc<Self>, folder: PathBuf) {
        let walk = Arc::clone(self);
        self.pool.spawn_n(async move {
            match walk.read(&folder).await {
                Ok(files) => println!("{files:4} files in {}", folder.display()),
                Err(error) => println!("{}: {error}", folder.display()),
            }
        });
    }

    async fn read(self: &Arc<Self>, folder: &Path) -> io::Result<u64> {
        let mut files = 0;
        let mut entries = read_dir(folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let metadata = entry.metadata().await?;
            if metadata.is_dir() {
                self.enter(entry.path());
            } else {
                files += 1;
                self.bytes.fetch_add(metadata.len(), Relaxed);
            }
        }
        self.files.fetch_add(files, Relaxed);
        Ok(files)
    }
}
