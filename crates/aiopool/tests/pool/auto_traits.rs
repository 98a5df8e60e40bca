//! Which of `Send`, `Sync`, `Unpin` and the unwind-safe traits the public types and the futures
//! of the verbs have, and which they have not. All of it is decided when it is compiled.

use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;

use aiopool::{
    AbortHandle, Builder, Itermap, Job, JobError, JobHandle, JobId, Panic, Pool, WithCallback,
};

/// What is made by `$make`, which is never called, has these traits.
macro_rules! is {
    ($make:expr, $($trait:path),+) => {
        $({
            fn is<T: $trait>(_: fn() -> T) {}
            is($make);
        })+
    };
}

/// What is made by `$make` has none of these traits.
macro_rules! is_not {
    ($make:expr, $($trait:path),+) => {
        $({
            // What has the trait has both, and `A` cannot be inferred.
            struct Both;
            trait Either<A> {}
            impl<T> Either<()> for T {}
            impl<T: $trait> Either<Both> for T {}
            fn is_not<T: Either<A>, A>(_: fn() -> T) {}
            is_not($make);
        })+
    };
}

fn a<T>() -> T {
    unreachable!("it is never called")
}

/// A job that may go from thread to thread and may not be looked at by two at once.
async fn not_sync() -> Cell<u8> {
    let cell = Cell::new(7);
    tokio::task::yield_now().await;
    cell
}

async fn sync() -> u8 {
    tokio::task::yield_now().await;
    7
}

#[test]
fn a_pool_and_what_makes_one_go_everywhere() {
    is!(
        a::<Pool>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe,
        Clone
    );
    is!(
        a::<Builder>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe,
        Clone
    );
}

#[test]
fn a_handle_goes_everywhere_whatever_its_result() {
    is!(
        a::<JobHandle<u8>>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe
    );
    is!(
        a::<JobHandle<Cell<u8>>>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe
    );
    is!(a::<JobHandle<std::marker::PhantomPinned>>, Unpin);
    is_not!(a::<JobHandle<u8>>, Clone);
    is!(
        a::<AbortHandle>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe,
        Clone
    );
    is!(
        a::<JobId>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe,
        Copy
    );
}

#[test]
fn an_error_goes_everywhere_as_error_reporters_ask() {
    is!(a::<JobError>, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    is!(a::<Panic>, Send, Sync, Unpin, UnwindSafe, RefUnwindSafe);
    is!(a::<JobError>, std::error::Error);
}

#[test]
fn a_stream_goes_from_thread_to_thread_and_need_not_be_pinned() {
    is!(
        a::<Itermap<u8>>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        RefUnwindSafe
    );
    is!(a::<Itermap<Cell<u8>>>, Send, Sync, Unpin);
    is!(a::<Itermap<std::marker::PhantomPinned>>, Unpin);
    is_not!(a::<Itermap<u8>>, Clone);
}

#[test]
fn a_job_with_a_callback_is_what_its_parts_are() {
    type With<F> = WithCallback<F, fn(Result<(), JobError>) -> std::future::Ready<()>>;
    is!(
        a::<With<std::future::Ready<()>>>,
        Send,
        Sync,
        Unpin,
        UnwindSafe,
        Job
    );
    is_not!(a::<With<Rc<()>>>, Send, Sync, Job);
    is_not!(a::<With<std::future::Ready<()>>>, Future);
}

#[test]
fn the_futures_of_spawn_and_exec_go_everywhere_whatever_their_job() {
    fn spawn() -> impl Future {
        Pool::new(1).spawn(not_sync())
    }
    fn exec() -> impl Future {
        Pool::new(1).exec(not_sync())
    }
    is!(spawn, Send, Sync, Unpin);
    is!(exec, Send, Sync, Unpin);
}

#[test]
fn the_future_of_map_is_send_though_its_jobs_and_results_are_not_sync() {
    fn map() -> impl Future {
        Pool::new(1).map(0..3, |_| not_sync())
    }
    is!(map, Send);
    is_not!(map, Sync, Unpin);
}

#[test]
fn the_futures_of_join_close_and_the_cancels_are_send() {
    fn join() -> impl Future {
        Pool::new(1).join()
    }
    fn cancel() -> impl Future {
        let handles: &mut [JobHandle<Cell<u8>>] = &mut [];
        Pool::new(1).cancel(handles)
    }
    fn cancel_all() -> impl Future {
        Pool::new(1).cancel_all()
    }
    fn close() -> impl Future {
        Pool::new(1).close(None, Duration::ZERO)
    }
    is!(join, Send, Sync, Unpin);
    is!(cancel, Send);
    is!(cancel_all, Send, Sync);
    is!(close, Send, Sync);
    is_not!(cancel, Unpin);
    is_not!(cancel_all, Unpin);
}

#[test]
fn what_is_not_a_job() {
    fn not_send() -> impl Future {
        let rc = Rc::new(7);
        async move {
            tokio::task::yield_now().await;
            drop(rc);
        }
    }
    fn gives_what_is_not_send() -> impl Future {
        async { Rc::new(7) }
    }
    is!(sync, Job);
    is!(not_sync, Job);
    is!(a::<JobHandle<u8>>, Job);
    is_not!(not_send, Job);
    is_not!(gives_what_is_not_send, Job);
    is_not!(a::<u8>, Job);
    is_not!(a::<fn() -> std::future::Ready<()>>, Job);
}
