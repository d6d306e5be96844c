//! SIGTERM and SIGINT: noted, and passed on to the child.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);
static CHILD: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(_signal: libc::c_int) {
    ASKED.store(true, Ordering::SeqCst);
    let child = CHILD.load(Ordering::SeqCst);
    if child > 0 {
        // SAFETY: kill may be called from a signal handler; the child is not reaped before
        // `forget_child`.
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
}

/// From now on SIGTERM and SIGINT end the stage instead of this process.
pub fn catch() {
    let handler: extern "C" fn(libc::c_int) = on_signal;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: the handler only touches atomics and calls kill.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Whether this process was asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// The process that a signal is to end.
pub fn set_child(pid: u32) {
    CHILD.store(pid as i32, Ordering::SeqCst);
    if asked() {
        on_signal(libc::SIGTERM);
    }
}

/// The child is about to be reaped; its number may soon be another process's.
pub fn forget_child() {
    CHILD.store(0, Ordering::SeqCst);
}
