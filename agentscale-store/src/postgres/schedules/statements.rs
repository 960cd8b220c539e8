use crate::postgres::{Postgres, Statement};

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) read: Statement,
    pub(super) lock: Statement,
    pub(super) numbers: Statement,
    pub(super) insert: Statement,
    pub(super) update: Statement,
    pub(super) delete: Statement,
    pub(super) list: Statement,
    pub(super) peek: Statement,
    pub(super) due: Statement,
    pub(super) waiting: Statement,
    pub(super) fire: Statement,
    pub(super) leave: Statement,
    pub(super) topics: Statement,
    pub(super) history: Statement,
}

impl Statements {
    pub(super) fn new(postgres: &Postgres) -> Self {
        let fire = "fire schedules";
        Self {
            read: postgres.statement("read schedule", include_str!("sql/read.sql")),
            lock: postgres.statement("read schedule", include_str!("sql/lock.sql")),
            numbers: postgres.statement("number schedule", include_str!("sql/numbers.sql")),
            insert: postgres.statement("put schedule", include_str!("sql/insert.sql")),
            update: postgres.statement("put schedule", include_str!("sql/update.sql")),
            delete: postgres.statement("delete schedule", include_str!("sql/delete.sql")),
            list: postgres.statement("list schedules", include_str!("sql/list.sql")),
            peek: postgres.statement(fire, include_str!("sql/peek.sql")),
            due: postgres.statement(fire, include_str!("sql/due.sql")),
            waiting: postgres.statement("trigger schedules", include_str!("sql/waiting.sql")),
            fire: postgres.statement(fire, include_str!("sql/fire.sql")),
            leave: postgres.statement(fire, include_str!("sql/leave.sql")),
            topics: postgres.statement("list topics of schedules", include_str!("sql/topics.sql")),
            history: postgres.statement("read history of schedule", include_str!("sql/history.sql")),
        }
    }
}
