//! The ledger in memory keeps the promises of its trait, through any pointer.

use std::sync::Arc;

use agentscale_core::BudgetLedger;
use agentscale_core::conformance::budget::BudgetLedgerHarness;
use agentscale_llm::budget::InMemoryBudgetLedger;
use async_trait::async_trait;

struct Memory;

#[async_trait]
impl BudgetLedgerHarness for Memory {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        Arc::new(InMemoryBudgetLedger::new())
    }
}

struct Pointers;

#[async_trait]
impl BudgetLedgerHarness for Pointers {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        let boxed: Box<dyn BudgetLedger> = Box::new(InMemoryBudgetLedger::new());
        let shared: Arc<dyn BudgetLedger> = Arc::new(boxed);
        Arc::new(shared)
    }
}

mod memory {
    agentscale_core::budget_ledger_conformance!(super::Memory);
}

mod pointers {
    agentscale_core::budget_ledger_conformance!(super::Pointers);
}
