//! Budgets in a file of SQLite and in PostgreSQL.

mod crashes;
#[cfg(feature = "postgres")]
mod postgres;
mod reservations;

use std::sync::Arc;

use agentscale_core::BudgetLedger;
use agentscale_core::conformance::budget::BudgetLedgerHarness;
use agentscale_store::SqliteBudgetLedger;
use async_trait::async_trait;
use tempfile::TempDir;

struct Sqlite(TempDir);

#[async_trait]
impl BudgetLedgerHarness for Sqlite {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        Arc::new(SqliteBudgetLedger::open(self.0.path().join("budgets.db")).await.expect("the ledger opens"))
    }
}

mod conformance {
    agentscale_core::budget_ledger_conformance!(super::Sqlite(
        tempfile::tempdir().expect("a folder is made")
    ));
}

#[tokio::test]
async fn stores_in_a_folder_have_one_ledger() {
    use agentscale_core::ErrorKind;
    use agentscale_core::budget::JoinRequest;
    use agentscale_store::Stores;
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    assert!(!folder.path().join("budgets.db").exists(), "it is made for who asks for it");
    let request = JoinRequest::new(1, std::time::Duration::from_secs(1));
    let first = stores.budgets().await.unwrap().join(request).await.unwrap();
    let second = stores.clone().budgets().await.unwrap().join(request).await.unwrap();
    assert!(first.epoch < second.epoch);
    stores.close().await.unwrap();
    let closed = stores.budgets().await.unwrap().join(request).await;
    assert_eq!(closed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(Stores::in_memory().budgets().await.unwrap_err().kind(), ErrorKind::Unsupported);
}
