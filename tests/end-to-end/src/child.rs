//! What the operating system knows of a child process: signals, and what it used up. The only unsafe code of the tests.

#![allow(unsafe_code, reason = "the standard library has neither kill nor prctl nor wait4")]

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

pub use libc::{SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM};

/// Makes the kernel send the command this signal when the thread that starts it ends, however it ends.
///
/// A child outlives no test by this, not even one that was killed. Start children from the body of a test only: a thread
/// of a pool may end earlier than the test. See prctl(2), `PR_SET_PDEATHSIG`.
pub fn ends_with_us(command: &mut Command, signal: i32) {
    let set = move || {
        let signal = libc::c_ulong::try_from(signal).unwrap_or_default();
        // SAFETY: prctl is async-signal-safe, and PR_SET_PDEATHSIG takes a number alone.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes one system call, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(set) };
}

/// Sends a signal to a child that was not waited for yet, so that its number is still its own.
pub fn send(pid: u32, signal: i32) {
    let pid = libc::pid_t::try_from(pid).expect("a process number");
    // SAFETY: kill takes two numbers and touches no memory of ours.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// Says what a child used up over its life.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, in user mode and in the kernel.
    pub cpu: Duration,
    /// The most memory that was resident at a time, in bytes.
    pub peak_memory: u64,
}

/// Waits for a child's end, and tells what it used up.
///
/// Blocks the thread. See wait4(2) and getrusage(2).
///
/// # Errors
///
/// If the child was waited for already.
pub fn wait_for_usage(child: Child) -> io::Result<(ExitStatus, Usage)> {
    use std::os::unix::process::ExitStatusExt;

    let pid = libc::pid_t::try_from(child.id()).expect("a process number");
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: both pointers are to locals that live over the call. `child` is ours by value, and nobody else waits for it.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    if waited != pid {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: wait4 succeeded, so it filled the structure in.
    let usage = unsafe { usage.assume_init() };
    let time = |value: libc::timeval| {
        let seconds = u64::try_from(value.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or_default())
    };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    // Linux counts ru_maxrss in KiB.
    let peak_memory = u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024;
    Ok((ExitStatus::from_raw(status), Usage { cpu, peak_memory }))
}
