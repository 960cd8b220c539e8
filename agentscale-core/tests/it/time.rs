use std::sync::Arc;
use std::time::Duration;

use agentscale_core::time::{Clock, ManualClock, Monotonic, PausedClock, SystemClock, TscClock};

#[tokio::test(start_paused = true)]
async fn the_system_clock_follows_a_paused_runtime() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let before = clock.now();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(clock.now().since(before), Duration::from_secs(3_600));
}

#[test]
fn the_system_clock_reads_the_wall_outside_a_runtime() {
    let clock = SystemClock::new();
    assert!(clock.unix_micros() > ManualClock::UNIX_START);
    assert!(clock.now() <= clock.now());
}

#[test]
fn a_second_of_the_processors_counter_is_one_of_the_machines_clock() {
    let (machine, counter) = (SystemClock::new(), TscClock::new());
    let read = || (machine.now(), counter.now(), machine.now());
    let (before, begun, after) = read();
    while machine.now().since(after) < Duration::from_millis(20) {}
    let (least, ended, most) = read();
    let counted = ended.since(begun);
    assert!(counted >= least.since(after) * 99 / 100, "{counted:?}");
    assert!(counted <= most.since(before) * 101 / 100, "{counted:?}");
    assert!(counter.unix_micros() > ManualClock::UNIX_START);
}

#[test]
fn readings_saturate_instead_of_wrapping() {
    let early = Monotonic::from_nanos(5);
    assert_eq!(Monotonic::ZERO.since(early), Duration::ZERO);
    assert_eq!((early + Duration::MAX).as_nanos(), u64::MAX);
}

#[test]
fn clones_of_a_manual_clock_share_their_time() {
    let clock = ManualClock::new();
    clock.clone().advance(Duration::from_millis(5));
    assert_eq!(clock.now(), Monotonic::from_nanos(5_000_000));
    assert_eq!(clock.unix_micros(), ManualClock::UNIX_START + 5_000);
}

#[tokio::test(start_paused = true)]
async fn both_halves_of_the_paused_clock_follow_the_runtime() {
    let clock = PausedClock::new();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(clock.now(), Monotonic::from_nanos(3_600_000_000_000));
    assert_eq!(clock.unix_micros(), ManualClock::UNIX_START + 3_600_000_000);
}

#[test]
fn a_manual_clock_never_goes_back() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(1));
    clock.advance(Duration::MAX);
    assert!(clock.now() > Monotonic::from_nanos(1_000_000_000));
}
