//! What this process may use: CPUs and memory, as the cgroup allows them.

use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;

const MAX_CONCURRENT_VARIABLE: &str = "MAX_CONCURRENT_AGENT_RUNS";
const TURNS_PER_CPU: usize = 10;
const BYTES_PER_TURN: u64 = 200_000_000;
const MOST_TURNS: usize = 2_000;
const LEAST_BLOCKING_THREADS: usize = 16;

/// The CPUs and memory that this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// CPUs, by affinity and cgroup quota.
    pub cpus: usize,
    /// Memory in bytes: the machine's or the cgroup's limit, whichever is less.
    pub memory_bytes: u64,
}

impl Machine {
    /// Reads `/proc` and `/sys/fs/cgroup`. Memory that cannot be read counts as unlimited.
    pub fn detect() -> Self {
        let cpus = available_parallelism().map_or(1, NonZero::get);
        let limits = [
            meminfo_total(&read("/proc/meminfo")),
            read("/sys/fs/cgroup/memory.max").trim().parse().ok(),
            read("/sys/fs/cgroup/memory/memory.limit_in_bytes").trim().parse().ok(),
        ];
        Self { cpus, memory_bytes: limits.into_iter().flatten().min().unwrap_or(u64::MAX) }
    }

    /// Turns that execute at once: `MAX_CONCURRENT_AGENT_RUNS` where it is a positive number, else
    /// min(CPUs × 10, memory / 200 MB, 2000), at least 1 (FEATURES S2).
    pub fn max_concurrent_turns(&self) -> usize {
        let wanted = std::env::var(MAX_CONCURRENT_VARIABLE).ok();
        self.max_concurrent_turns_from(wanted.as_deref())
    }

    /// Threads for blocking work: max(CPUs, 16) (FEATURES S5).
    pub fn blocking_threads(&self) -> usize {
        self.cpus.max(LEAST_BLOCKING_THREADS)
    }

    fn max_concurrent_turns_from(&self, wanted: Option<&str>) -> usize {
        let by_memory = usize::try_from(self.memory_bytes / BYTES_PER_TURN).unwrap_or(usize::MAX);
        let computed = (self.cpus * TURNS_PER_CPU).min(by_memory).clamp(1, MOST_TURNS);
        let Some(wanted) = wanted else { return computed };
        wanted.trim().parse().ok().filter(|turns| *turns > 0).unwrap_or_else(|| {
            tracing::warn!(
                variable = MAX_CONCURRENT_VARIABLE,
                value = wanted,
                "not a positive number, ignored"
            );
            computed
        })
    }
}

/// The resident bytes of this process; `None` where `/proc` does not tell.
pub(crate) fn resident_bytes() -> Option<u64> {
    let status = read("/proc/self/status");
    kilobytes(&status, "VmRSS:")
}

fn meminfo_total(meminfo: &str) -> Option<u64> {
    kilobytes(meminfo, "MemTotal:")
}

fn kilobytes(table: &str, name: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_at_once_are_the_least_of_cpus_memory_and_2000() {
        let turns =
            |cpus, memory_bytes, wanted| Machine { cpus, memory_bytes }.max_concurrent_turns_from(wanted);
        assert_eq!(turns(32, 128_000_000_000, None), 320);
        assert_eq!(turns(32, 1_000_000_000, None), 5);
        assert_eq!(turns(1_000, u64::MAX, None), 2_000);
        assert_eq!(turns(1, 1_000, None), 1);
        assert_eq!(turns(32, 128_000_000_000, Some("640")), 640);
        assert_eq!(turns(32, 128_000_000_000, Some("none")), 320);
        assert_eq!(turns(32, 128_000_000_000, Some("0")), 320);
    }

    #[test]
    fn blocking_work_gets_16_threads_or_one_a_cpu() {
        assert_eq!(Machine { cpus: 2, memory_bytes: 0 }.blocking_threads(), 16);
        assert_eq!(Machine { cpus: 64, memory_bytes: 0 }.blocking_threads(), 64);
    }

    #[test]
    fn this_process_has_memory() {
        assert_eq!(meminfo_total("MemTotal:       24576 kB\n"), Some(24_576 * 1_024));
        assert!(resident_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
