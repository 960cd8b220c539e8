//! The statements of a store, for the schema that it is opened on.

use crate::postgres::{Postgres, Statement};

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $operation:literal;)*) => {
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
    attempt: "record attempt";
    bury: "bury message";
    claim: "claim thread";
    commit: "commit";
    copy: "fork thread";
    delete: "delete thread";
    expire: "prune";
    expire_of: "prune";
    fork: "fork thread";
    hide: "prune";
    history: "list history";
    journal: "read steps";
    letters: "list dead letters";
    listed: "prune";
    load: "load checkpoint";
    lock: "fork thread";
    lock_shared: "prune";
    number: "prune";
    numbers: "prune";
    outbox: "list outbox";
    outcome: "read outcome";
    redrive: "redrive messages";
    remove: "prune";
    repeated: "commit";
    retired: "prune";
    settle: "settle messages";
    shared: "prune";
    source: "fork thread";
    steps: "append steps";
    sweep: "remove thread";
    threads: "list threads";
}
