//! Under `shuttle`: threads are interleaved at random wherever they touch what they share, and one that waits for ever
//! fails its test.

use std::time::Duration;

use futures::FutureExt;
use shuttle::future::block_on;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{check_random, thread};

use super::*;

const INTERLEAVINGS: usize = 2_000;
/// The turns of a scene, after which its workers rest no more.
const ALL: usize = 6;

/// What a worker finds at an agent.
#[derive(Clone, Copy)]
enum Turn {
    Ends,
    /// For all others.
    Waits,
    /// As well, and shows before that the pool is slow.
    Drags,
}

struct Scene {
    crew: Crew<Turn>,
    taken: AtomicUsize,
}

impl Scene {
    fn new(threads: usize, is_quick: bool) -> Arc<Self> {
        let crew = Crew::new(threads);
        while crew.pace.is_quick() != is_quick {
            crew.pace.record(Duration::ZERO);
        }
        Arc::new(Self { crew, taken: AtomicUsize::new(0) })
    }

    fn work(self: &Arc<Self>, home: Home, started: &mut Vec<thread::JoinHandle<()>>) {
        let mut place = Place::at_front(&self.crew, home);
        while let Some(turn) = place.take().or_else(|| block_on(place.rest())) {
            if self.taken.fetch_add(1, Ordering::SeqCst) + 1 == ALL {
                self.crew.close();
            }
            started.extend(place.begin().map(|home| self.start(home)));
            if matches!(turn, Turn::Drags) {
                self.crew.pace.record(Duration::from_secs(1));
            }
            if matches!(turn, Turn::Drags | Turn::Waits) {
                started.extend(place.leave().map(|home| self.start(home)));
                while self.taken.load(Ordering::SeqCst) < ALL {
                    thread::yield_now();
                }
            }
        }
    }

    fn start(self: &Arc<Self>, home: Home) -> thread::JoinHandle<()> {
        let scene = self.clone();
        thread::spawn(move || {
            let mut started = Vec::new();
            scene.work(home, &mut started);
            started.into_iter().for_each(|worker| worker.join().unwrap());
        })
    }
}

#[test]
fn no_woken_agent_is_left_without_a_worker() {
    let gentle = [[Turn::Ends, Turn::Waits, Turn::Ends], [Turn::Waits, Turn::Ends, Turn::Ends]];
    let dragging = [[Turn::Drags, Turn::Waits, Turn::Ends], [Turn::Waits, Turn::Ends, Turn::Drags]];
    for (threads, is_quick, turns) in
        [(1, true, gentle), (2, true, gentle), (2, false, gentle), (1, true, dragging), (2, true, dragging)]
    {
        let interleaved = move || {
            let scene = Scene::new(threads, is_quick);
            let senders: Vec<_> = turns
                .into_iter()
                .zip([Home(0), Home(threads - 1)])
                .map(|(turns, home)| {
                    let scene = scene.clone();
                    thread::spawn(move || {
                        let queue = |turn| scene.crew.queue_at(home, turn).map(|home| scene.start(home));
                        let workers: Vec<_> = turns.into_iter().filter_map(queue).collect();
                        workers.into_iter().for_each(|worker| worker.join().unwrap());
                    })
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            assert_eq!(scene.taken.load(Ordering::SeqCst), ALL);
            for home in scene.crew.homes() {
                let front = scene.crew.lock(home);
                assert_eq!((front.ready.len(), front.workers), (0, 0));
            }
        };
        check_random(interleaved, INTERLEAVINGS);
    }
}

#[test]
fn a_front_that_took_nobody_since_the_last_look_is_relieved() {
    let relieve = || {
        let scene = Scene::new(1, true);
        let crew = &scene.crew;
        let home = crew.queue(Turn::Ends).unwrap();
        let mut blocked = Place::at_front(crew, home);
        assert!(blocked.take().is_some());
        assert_eq!(crew.queue(Turn::Ends), None, "the worker at the front comes to it");
        assert_eq!(crew.relieve(), []);
        assert_eq!(crew.relieve(), [home]);
        assert!(Place::at_front(crew, home).take().is_some());
        assert_eq!(crew.relieve(), []);
    };
    check_random(relieve, 1);
}

#[test]
fn workers_that_are_called_before_they_notice_are_all_counted() {
    let call = || {
        let scene = Scene::new(1, false);
        let crew = &scene.crew;
        let home = crew.queue(Turn::Ends).unwrap();
        let mut first = Place::at_front(crew, home);
        assert!(first.take().is_some());
        assert_eq!(first.begin(), None);
        assert!(first.rest().now_or_never().is_none());
        assert_eq!(crew.queue(Turn::Ends), None, "the first is called");
        let mut second = Place::at_front(crew, home);
        crew.lock(home).workers += 1;
        assert!(second.take().is_some(), "the second comes first");
        assert_eq!(second.begin(), None);
        assert!(second.rest().now_or_never().is_none());
        assert_eq!(crew.queue(Turn::Ends), None, "the first is still on its way");
        assert_eq!(crew.queue(Turn::Ends), None, "the second is called");
        for place in [&mut first, &mut second] {
            assert!(place.rest().now_or_never().flatten().is_some());
            assert_eq!(place.begin(), None);
        }
        assert_eq!(crew.lock(home).workers, 0);
    };
    check_random(call, 1);
}

#[test]
fn a_worker_that_wakes_by_itself_is_called_no_more() {
    let wake = || {
        let scene = Scene::new(1, true);
        let crew = &scene.crew;
        let home = crew.queue(Turn::Ends).unwrap();
        let mut place = Place::at_front(crew, home);
        assert!(place.take().is_some());
        assert!(place.rest().now_or_never().is_none());
        crew.lock(home).ready.push_back(Turn::Waits);
        assert!(place.rest().now_or_never().flatten().is_some());
        assert_eq!(place.leave(), None);
        assert_eq!(crew.queue(Turn::Ends), Some(home), "nobody rests");
    };
    check_random(wake, 1);
}
