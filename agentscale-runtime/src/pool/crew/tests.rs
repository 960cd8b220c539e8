//! Under `shuttle`: threads are interleaved at random wherever they touch what they share, and one that waits for ever
//! fails its test.

use std::time::Duration;

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{check_random, thread};

use super::*;

const INTERLEAVINGS: usize = 5_000;

/// What a worker finds at an agent.
#[derive(Clone, Copy)]
enum Turn {
    Ends,
    Waits,
}

struct Scene {
    crew: Crew<Turn>,
    taken: AtomicUsize,
    at_front: AtomicUsize,
}

impl Scene {
    fn new(threads: usize, is_quick: bool) -> Arc<Self> {
        let crew = Crew::new(threads);
        while crew.pace.is_quick() != is_quick {
            crew.pace.record(Duration::ZERO);
        }
        Arc::new(Self { crew, taken: AtomicUsize::new(0), at_front: AtomicUsize::new(0) })
    }

    fn work(self: &Arc<Self>, started: &mut Vec<thread::JoinHandle<()>>) {
        let mut place = Place::at_front(&self.crew);
        while let Some(turn) = place.take().or_else(|| place.take_last()) {
            self.taken.fetch_add(1, Ordering::SeqCst);
            if matches!(turn, Turn::Waits) && place.leave() {
                started.push(self.start());
            }
        }
        self.at_front.fetch_add(usize::from(place.at_front), Ordering::SeqCst);
    }

    fn start(self: &Arc<Self>) -> thread::JoinHandle<()> {
        let scene = self.clone();
        thread::spawn(move || {
            let mut started = Vec::new();
            scene.work(&mut started);
            started.into_iter().for_each(|worker| worker.join().unwrap());
        })
    }
}

#[test]
fn no_woken_agent_is_left_without_a_worker() {
    for (threads, is_quick) in [(1, true), (2, true), (1, false)] {
        let interleaved = move || {
            let scene = Scene::new(threads, is_quick);
            let senders: Vec<_> = [[Turn::Ends, Turn::Waits], [Turn::Waits, Turn::Ends]]
                .into_iter()
                .map(|turns| {
                    let scene = scene.clone();
                    thread::spawn(move || {
                        let workers: Vec<_> = turns
                            .into_iter()
                            .filter(|turn| scene.crew.queue(*turn))
                            .map(|_| scene.start())
                            .collect();
                        workers.into_iter().for_each(|worker| worker.join().unwrap());
                    })
                })
                .collect();
            senders.into_iter().for_each(|sender| sender.join().unwrap());
            let front = scene.crew.lock();
            assert_eq!((scene.taken.load(Ordering::SeqCst), front.ready.len(), front.workers), (4, 0, 0));
            assert_eq!(scene.at_front.load(Ordering::SeqCst), 0);
        };
        check_random(interleaved, INTERLEAVINGS);
    }
}

#[test]
fn a_front_that_took_nobody_since_the_last_look_is_relieved() {
    let relieve = || {
        let scene = Scene::new(1, true);
        let crew = &scene.crew;
        assert!(crew.queue(Turn::Ends));
        let mut blocked = Place::at_front(crew);
        assert!(blocked.take().is_some());
        assert!(!crew.queue(Turn::Ends), "the worker at the front comes to it");
        assert_eq!(crew.relieve(), 0);
        assert_eq!(crew.relieve(), 1);
        assert!(Place::at_front(crew).take().is_some());
        assert_eq!(crew.relieve(), 0);
    };
    check_random(relieve, 1);
}
