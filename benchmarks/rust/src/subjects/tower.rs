//! tower's layers: `RateLimit` around `ConcurrencyLimit`.

use std::convert::Infallible;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::subject::{Limit, Rated};

/// A type of its own, so that it is plain that it holds no reference.
struct Request(BoxFuture<'static, usize>);

/// One task calls the service when it is ready, and spawns what it answers with: the service is not
/// `Clone`.
pub(crate) struct Limits {
    requests: mpsc::UnboundedSender<Request>,
    calls: JoinHandle<usize>,
}

impl Rated for Limits {
    fn new(slots: usize, limit: Option<Limit>) -> Self {
        let (requests, received) = mpsc::unbounded_channel();
        let calls = match limit {
            None => {
                let service = ServiceBuilder::new().concurrency_limit(slots);
                tokio::spawn(call(service.service(service_fn(run)), received))
            }
            Some(Limit { starts, per }) => {
                let service = ServiceBuilder::new().rate_limit(starts.get().into(), per);
                let service = service.concurrency_limit(slots);
                tokio::spawn(call(service.service(service_fn(run)), received))
            }
        };
        Self { requests, calls }
    }

    fn queue(&mut self, job: impl Future<Output = usize> + Send + 'static) {
        // One that is refused is missed in the sum.
        let _ = self.requests.send(Request(Box::pin(job)));
    }

    async fn sum(self) -> usize {
        drop(self.requests);
        self.calls.await.unwrap_or(0)
    }
}

async fn run(request: Request) -> Result<usize, Infallible> {
    Ok(request.0.await)
}

async fn call<S>(mut service: S, mut received: mpsc::UnboundedReceiver<Request>) -> usize
where
    S: Service<Request, Response = usize, Future: Send + 'static>,
    S::Error: Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut sum = 0;
    while let Some(request) = received.recv().await {
        let Ok(ready) = service.ready().await else {
            break;
        };
        tasks.spawn(ready.call(request));
        while let Some(ended) = tasks.try_join_next() {
            sum += result(ended);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        sum += result(ended);
    }
    sum
}

fn result<E, F>(ended: Result<Result<usize, E>, F>) -> usize {
    ended.ok().and_then(Result::ok).unwrap_or(0)
}
