//! The statements of a queue, for the schema that it is opened on.

use crate::postgres::{Postgres, Statement};

macro_rules! statements {
    ($($name:ident: $operation:literal;)*) => {
        /// One statement each, by the name of its file.
        #[derive(Debug)]
        pub(super) struct Statements {
            $(pub(super) $name: Statement,)*
        }

        impl Statements {
            pub(super) fn new(postgres: &Postgres) -> Self {
                Self {
                    $($name: postgres.statement(
                        $operation,
                        include_str!(concat!("sql/", stringify!($name), ".sql")),
                    ),)*
                }
            }
        }
    };
}

statements! {
    cancel: "cancel job";
    changed: "await jobs";
    claim: "claim jobs";
    counts: "count jobs";
    dead: "list dead jobs";
    discard: "discard jobs";
    due: "look for due jobs";
    enqueue: "enqueue jobs";
    enqueue_each: "enqueue jobs";
    expire: "maintain jobs";
    finish: "finish jobs";
    heartbeat: "renew claims";
    notify: "announce jobs";
    outcome: "read outcome of job";
    read: "read job";
    redrive: "redrive jobs";
    tend: "turn the ring of jobs";
}
