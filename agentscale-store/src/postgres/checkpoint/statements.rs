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
    number: "prune";
    numbers: "prune";
    outbox: "list outbox";
    outcome: "read outcome";
    redrive: "redrive messages";
    remove: "prune";
    repeated: "commit";
    settle: "settle messages";
    steps: "append steps";
    sweep: "delete thread";
    threads: "list threads";
}
