use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use agentscale_core::llm::LlmProvider;
use agentscale_core::metrics::Metrics;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{BudgetLedger, Error, ErrorKind, Priority, Result, Tenant};

use super::budget::{Budget, BudgetConfig, Budgets, Rules};
use super::health::Health;
use super::key::Key;
use super::pool::{Allowed, Pool};
use super::route::{Route, Takes, Target};
use super::succession::{self, Wanted};
use super::table::Table;
use super::telemetry::{BudgetMetrics, LineMetrics, TargetMetrics};
use super::{Gateway, GatewayConfig, KeyChoice, KeyLimits};
use crate::prices::PriceTable;

/// What a gateway is made of: pools of keys, models that are called through them, and names that tenants call models by.
#[derive(Debug, Default)]
pub struct GatewayBuilder {
    config: GatewayConfig,
    clock: Option<Arc<dyn Clock>>,
    pools: Vec<KeyPool>,
    models: Vec<GatewayModel>,
    hints: HashMap<(Option<Tenant>, String), String>,
    weights: HashMap<Tenant, NonZeroU32>,
    metrics: Metrics,
    ledger: Option<Arc<dyn BudgetLedger>>,
    budgets: Vec<Budget>,
    prices: Option<PriceTable>,
}

/// Keys of one provider through which one class of models is called: a quota domain.
#[derive(Debug)]
pub struct KeyPool {
    name: String,
    choice: KeyChoice,
    keys: Vec<ProviderKey>,
}

/// One key: the provider that calls with it, its limits and who may use it.
#[derive(Debug)]
pub struct ProviderKey {
    id: String,
    provider: Arc<dyn LlmProvider>,
    limits: KeyLimits,
    quota: Option<String>,
    tenants: Option<HashSet<Tenant>>,
}

/// A model, and where calls of it go.
#[derive(Clone, Debug)]
pub struct GatewayModel {
    name: String,
    targets: Vec<(String, String)>,
    overflow: Vec<(String, String)>,
    cheaper: Vec<(Priority, String, String)>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    long_context: Option<String>,
    on_refusal: Option<String>,
    continues: bool,
}

impl GatewayBuilder {
    /// Sets how calls are queued and repeated.
    #[must_use]
    pub fn config(mut self, config: GatewayConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the clock; the system's unless given.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets where calls, tokens and waits are recorded: `gen_ai_client_*` by OpenTelemetry's conventions, and
    /// `agentscale_gateway_*`. Nowhere that can be read unless given.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Adds keys.
    #[must_use]
    pub fn pool(mut self, pool: KeyPool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Adds a model.
    #[must_use]
    pub fn model(mut self, model: GatewayModel) -> Self {
        self.models.push(model);
        self
    }

    /// Lets all tenants call `model` by the name `hint`, such as `fast` or `reasoning`, unless they have one of their own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>, model: impl Into<String>) -> Self {
        self.hints.insert((None, hint.into()), model.into());
        self
    }

    /// Lets one tenant call `model` by the name `hint`.
    #[must_use]
    pub fn hint_for(mut self, tenant: Tenant, hint: impl Into<String>, model: impl Into<String>) -> Self {
        self.hints.insert((Some(tenant), hint.into()), model.into());
        self
    }

    /// Sets a tenant's share of the tokens while calls wait, beside the 1 of the others.
    #[must_use]
    pub fn weight(mut self, tenant: Tenant, weight: NonZeroU32) -> Self {
        self.weights.insert(tenant, weight);
        self
    }

    /// Sets where budgets are kept and usage is recorded. Nothing is without it.
    #[must_use]
    pub fn ledger(mut self, ledger: impl BudgetLedger) -> Self {
        self.ledger = Some(Arc::new(ledger));
        self
    }

    /// Limits what is spent; the ledger says what was.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budgets.push(budget);
        self
    }

    /// Sets what models cost; [`PriceTable::built_in`] unless given.
    #[must_use]
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.prices = Some(prices);
        self
    }

    /// The gateway.
    ///
    /// # Errors
    /// `invalid_input`, naming what is wrong: a field of zero, a name that stands twice or for nothing, a model without a
    /// pool, a pool without a key.
    pub fn build(self) -> Result<Gateway> {
        let clock = self.clock.clone().unwrap_or_else(|| Arc::new(SystemClock::new()));
        let budgets = match self.ledger.clone() {
            Some(ledger) => Some(Budgets::new(ledger, Arc::clone(&clock), self.budget_setup()?)),
            None => {
                self.check_no_budget()?;
                None
            }
        };
        Ok(Gateway::new(self.table(&clock, None)?, clock, budgets))
    }

    pub(super) fn budget_setup(&self) -> Result<(Rules, BudgetConfig, BudgetMetrics)> {
        let rules = Rules::new(self.budgets.clone())?;
        Ok((rules, self.config.budgets.clone(), BudgetMetrics::new(&self.metrics)?))
    }

    /// A budget that nobody keeps would limit nothing.
    pub(super) fn check_no_budget(&self) -> Result<()> {
        match self.budgets.is_empty() {
            true => Ok(()),
            false => Err(refused("budget", "ledger", "there is none to keep it")),
        }
    }

    /// The table of what was added; what stands in `before` under the same names goes on.
    pub(super) fn table(self, clock: &Arc<dyn Clock>, before: Option<&Table>) -> Result<Table> {
        self.config.check()?;
        let mut pools = HashMap::new();
        let mut ids = HashSet::new();
        for pool in self.pools {
            let name = pool.name.clone();
            if let Some(twice) = pool.keys.iter().find(|key| !ids.insert(key.id.clone())) {
                return Err(refused("key", &twice.id, "stands twice"));
            }
            let before = before.and_then(|table| table.pool(&name));
            let pool = pool.build(&self.config, clock, before.map(Arc::as_ref))?;
            if pools.insert(name.clone(), Arc::new(pool)).is_some() {
                return Err(refused("pool", &name, "stands twice"));
            }
        }
        let prices = self.prices.unwrap_or_else(PriceTable::built_in);
        let mut routes = HashMap::new();
        for model in self.models {
            let name = model.name.clone();
            let route =
                Arc::new(model.build(&pools, self.config.max_output_tokens, &self.metrics, &prices)?);
            if routes.insert(name.clone(), route).is_some() {
                return Err(refused("model", &name, "stands twice"));
            }
        }
        check_names(&routes, self.hints.values())?;
        let line_metrics = LineMetrics::new(&self.metrics)?;
        Ok(Table::new(self.config, line_metrics, pools, routes, self.hints, self.weights))
    }
}

impl KeyPool {
    /// A pool without keys.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), choice: KeyChoice::default(), keys: Vec::new() }
    }

    /// Adds a key.
    #[must_use]
    pub fn key(mut self, key: ProviderKey) -> Self {
        self.keys.push(key);
        self
    }

    /// Sets how it chooses among the keys that have room.
    #[must_use]
    pub fn with_choice(mut self, choice: KeyChoice) -> Self {
        self.choice = choice;
        self
    }

    fn build(self, config: &GatewayConfig, clock: &Arc<dyn Clock>, before: Option<&Pool>) -> Result<Pool> {
        if self.keys.is_empty() {
            return Err(refused("pool", &self.name, "has no key"));
        }
        let keys_before = before.map(Pool::keys).unwrap_or_default();
        self.keys.iter().try_for_each(|key| key.limits.check(&key.id))?;
        let wanted: Vec<_> = self.keys.iter().map(ProviderKey::wanted).collect();
        let quotas = succession::quotas(&wanted, keys_before);
        let mut keys = Vec::new();
        for (key, quota) in self.keys.into_iter().zip(quotas) {
            let allowed = key.tenants.map_or(Allowed::Everyone, Allowed::These);
            let key = Key::new(key.id, key.provider, quota);
            if let Some(before) = keys_before.iter().find(|before| before.id() == key.id()) {
                key.rest_like(before);
            }
            keys.push((Arc::new(key), allowed));
        }
        let health = match before {
            Some(before) => Arc::clone(before.health()),
            None => Arc::new(Health::new(&self.name, config, clock)?),
        };
        Ok(Pool::new(keys, self.choice, health))
    }
}

impl ProviderKey {
    /// A key that everyone may use without limits; `id` names it in errors and metrics and is not the secret.
    pub fn new(id: impl Into<String>, provider: impl LlmProvider) -> Self {
        Self::shared(id, Arc::new(provider))
    }

    /// The same, of a provider that others call too.
    pub fn shared(id: impl Into<String>, provider: Arc<dyn LlmProvider>) -> Self {
        Self { id: id.into(), provider, limits: KeyLimits::default(), quota: None, tenants: None }
    }

    /// Sets its limits.
    #[must_use]
    pub fn with_limits(mut self, limits: KeyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets it share the limits of the other keys of its pool with this name, as keys of one organization do. The
    /// limits are those of the first.
    #[must_use]
    pub fn with_quota(mut self, name: impl Into<String>) -> Self {
        self.quota = Some(name.into());
        self
    }

    /// Lets these tenants use it and no others.
    #[must_use]
    pub fn for_tenants(mut self, tenants: impl IntoIterator<Item = Tenant>) -> Self {
        self.tenants = Some(tenants.into_iter().collect());
        self
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted { id: &self.id, shares: self.quota.as_deref(), limits: &self.limits }
    }
}

impl GatewayModel {
    /// A model without a pool.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            targets: Vec::new(),
            overflow: Vec::new(),
            cheaper: Vec::new(),
            context_window: None,
            max_output_tokens: None,
            long_context: None,
            on_refusal: None,
            continues: false,
        }
    }

    /// Adds where it is called: a pool, and the model's name there. The first that has room and works is taken. Embeddings
    /// go only to where the model has the same name as in the first.
    #[must_use]
    pub fn via(mut self, pool: impl Into<String>, model: impl Into<String>) -> Self {
        self.targets.push((pool.into(), model.into()));
        self
    }

    /// Adds where calls go that have waited in a line of [`GatewayConfig::overflow_pending`] calls for
    /// [`GatewayConfig::overflow_after_ms`]: a model on machines of the host's own (row K4d).
    #[must_use]
    pub fn overflowing_to(mut self, pool: impl Into<String>, model: impl Into<String>) -> Self {
        self.overflow.push((pool.into(), model.into()));
        self
    }

    /// Adds where calls of `class` and of lower classes go first: a cheaper and slower way, of which those above know
    /// nothing (row P7b). Where it has no room they go on as all others.
    #[must_use]
    pub fn cheaper_for(mut self, class: Priority, pool: impl Into<String>, model: impl Into<String>) -> Self {
        self.cheaper.push((class, pool.into(), model.into()));
        self
    }

    /// Sets how many tokens of input and output it takes together.
    #[must_use]
    pub fn with_context_window(mut self, tokens: u32) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// Sets the longest answer of calls that name none.
    #[must_use]
    pub fn with_max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Sets the model for what is longer than the window of this one, by the estimate or by the provider's word.
    #[must_use]
    pub fn with_long_context(mut self, model: impl Into<String>) -> Self {
        self.long_context = Some(model.into());
        self
    }

    /// Sets the model for what this one refuses to answer.
    #[must_use]
    pub fn on_refusal(mut self, model: impl Into<String>) -> Self {
        self.on_refusal = Some(model.into());
        self
    }

    /// Lets a streamed answer that breaks off behind some of its text go on: another target that can is sent what was
    /// shown as words of the assistant, and its answer is given on as the rest. The text may be by two models.
    #[must_use]
    pub fn continuing(mut self) -> Self {
        self.continues = true;
        self
    }

    fn build(
        self,
        pools: &HashMap<String, Arc<Pool>>,
        max_output: u32,
        metrics: &Metrics,
        prices: &PriceTable,
    ) -> Result<Route> {
        let Some((_, vectors)) = self.targets.first().cloned() else {
            return Err(refused("model", &self.name, "has no pool"));
        };
        let cheaper =
            self.cheaper.into_iter().map(|(class, pool, model)| (Takes::From(class), (pool, model)));
        let all = self.targets.into_iter().map(|target| (Takes::All, target));
        let overflow = self.overflow.into_iter().map(|target| (Takes::Overflow, target));
        let mut targets = Vec::new();
        for (takes, (pool, model)) in cheaper.chain(all).chain(overflow) {
            let found =
                pools.get(&pool).ok_or_else(|| refused("pool", &pool, "is named and does not exist"))?;
            let metrics = TargetMetrics::new(metrics, &self.name, &pool)?;
            // A provider that is called without a name has but one model.
            let name = if model.is_empty() { &self.name } else { &model };
            let price = prices.find(&pool, name);
            targets.push(Target { pool: Arc::clone(found), model, takes, metrics, price });
        }
        Ok(Route {
            model: self.name,
            targets,
            vectors,
            context_window: self.context_window,
            max_output: self.max_output_tokens.unwrap_or(max_output),
            long_context: self.long_context,
            on_refusal: self.on_refusal,
            continues: self.continues,
        })
    }
}

/// Each name stands for a model, and no model leads back to itself.
fn check_names<'a>(
    routes: &'a HashMap<String, Arc<Route>>,
    hints: impl Iterator<Item = &'a String>,
) -> Result<()> {
    let others = routes.values().flat_map(|route| route.others());
    if let Some(unknown) = hints.map(String::as_str).chain(others).find(|model| !routes.contains_key(*model))
    {
        return Err(refused("model", unknown, "is named and does not exist"));
    }
    match in_a_circle(routes) {
        Some(model) => Err(refused("model", model, "leads in a circle when it refuses or is too small")),
        None => Ok(()),
    }
}

/// A model whose calls could go on for ever from one to the next.
fn in_a_circle(routes: &HashMap<String, Arc<Route>>) -> Option<&str> {
    let mut left: HashSet<&str> = routes.keys().map(String::as_str).collect();
    loop {
        let leads_on = |model: &&str| {
            routes.get(*model).is_some_and(|route| route.others().any(|other| left.contains(other)))
        };
        let (in_question, before) =
            (left.iter().copied().filter(leads_on).collect::<HashSet<_>>(), left.len());
        if in_question.len() == before {
            return in_question.into_iter().min();
        }
        left = in_question;
    }
}

/// What errors say was attempted.
pub(super) const OPERATION: &str = "set up the gateway";

fn refused(what: &'static str, name: &str, reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, OPERATION).with_context(what, name).with_context("reason", reason)
}
