//! The ground of the pool: locks, Tokio, and calls of foreign code.

pub(crate) mod clock;
#[cfg(aiopool_models)]
pub(crate) mod explorer;
pub(crate) mod runtime;
pub(crate) mod sync;
pub(crate) mod unwind;

/// Variables of each thread. The threads of a model are none of the system's.
macro_rules! per_thread {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        #[cfg(not(aiopool_models))]
        std::thread_local! {
            $($(#[$attribute])* static $name: $type = const { $value };)*
        }
        #[cfg(aiopool_models)]
        crate::sys::explorer::thread_local! {
            $($(#[$attribute])* static $name: $type = $value;)*
        }
    };
}

pub(crate) use per_thread;
