//! The threads that drive runs, apart from those that hear alerts and people.
//!
//! Among hundreds of runs that all could go on, an alert would wait for its turn at every step on its way to the disk, and
//! so would a no. Apart from them it is the system that gives each its time.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// The threads; they end when this is dropped.
pub(crate) struct Drivers(Option<Runtime>);

impl Drivers {
    pub(crate) fn start() -> io::Result<Drivers> {
        Ok(Drivers(Some(Builder::new_multi_thread().enable_all().thread_name("driver").build()?)))
    }

    pub(crate) fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        // A runtime waits for its threads when it ends, which no task may do. What its tasks hold, the store above all, is
        // given back when this returns.
        let _ = std::thread::spawn(move || drop(runtime)).join();
    }
}
