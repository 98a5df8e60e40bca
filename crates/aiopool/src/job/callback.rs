//! A job with a callback.

use std::pin::Pin;

use pin_project_lite::pin_project;

use crate::job::body::Parts;

pin_project! {
    /// A future and the callback that runs after it; see [`Job::with_callback`].
    #[derive(Debug, Clone)]
    #[must_use = "a job does nothing unless it is handed to a pool"]
    pub struct WithCallback<F, C> {
        #[pin]
        pub(crate) future: F,
        pub(crate) callback: Option<C>,
    }
}

impl<F, C> Parts for WithCallback<F, C> {
    type Future = F;
    type Callback = C;

    fn future(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().future
    }

    fn take_callback(self: Pin<&mut Self>) -> Option<C> {
        self.project().callback.take()
    }
}
