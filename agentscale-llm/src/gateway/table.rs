use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use agentscale_core::llm::ModelInfo;
use agentscale_core::time::Monotonic;
use agentscale_core::{Error, ErrorKind, Result, Tenant};

use super::GatewayConfig;
use super::pool::Pool;
use super::route::Route;
use super::telemetry::LineMetrics;

/// The routes of a gateway, by the names that tenants call them by. A reload puts another in its place.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) config: GatewayConfig,
    pub(crate) line_metrics: LineMetrics,
    pools: HashMap<String, Arc<Pool>>,
    routes: HashMap<String, Arc<Route>>,
    /// For all tenants, and for those with a name of their own.
    hints: HashMap<String, String>,
    own_hints: HashMap<Tenant, HashMap<String, String>>,
    weights: HashMap<Tenant, NonZeroU32>,
    /// Where there is but one model, calls that name none go there.
    only: Option<Arc<Route>>,
}

impl Table {
    pub(super) fn new(
        config: GatewayConfig,
        line_metrics: LineMetrics,
        pools: HashMap<String, Arc<Pool>>,
        routes: HashMap<String, Arc<Route>>,
        hints: HashMap<(Option<Tenant>, String), String>,
        weights: HashMap<Tenant, NonZeroU32>,
    ) -> Self {
        let only = routes.values().next().filter(|_| routes.len() == 1).map(Arc::clone);
        let (mut common, mut own_hints) = (HashMap::new(), HashMap::<_, HashMap<_, _>>::new());
        for ((tenant, hint), model) in hints {
            match tenant {
                Some(tenant) => own_hints.entry(tenant).or_default().insert(hint, model),
                None => common.insert(hint, model),
            };
        }
        Self { config, line_metrics, pools, routes, hints: common, own_hints, weights, only }
    }

    /// Where calls by this name go: a tenant's own hint, a hint, a model.
    pub(crate) fn route(&self, name: &str, tenant: Option<&Tenant>) -> Result<&Arc<Route>> {
        let own = tenant.and_then(|tenant| self.own_hints.get(tenant)).and_then(|hints| hints.get(name));
        let model = own.or_else(|| self.hints.get(name)).map_or(name, String::as_str);
        let route = if model.is_empty() { self.only.as_ref() } else { self.routes.get(model) };
        route.ok_or_else(|| not_found(name))
    }

    /// Where calls of a model go on to: by its own name, whatever else that is a hint for.
    pub(crate) fn model(&self, model: &str) -> Result<&Arc<Route>> {
        self.routes.get(model).ok_or_else(|| not_found(model))
    }

    pub(crate) fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.get(name)
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values()
    }

    pub(crate) fn weight(&self, tenant: Option<&Tenant>) -> u32 {
        tenant.and_then(|tenant| self.weights.get(tenant)).map_or(1, |weight| weight.get())
    }

    /// Whether one of the providers works, and accepts one of its keys.
    pub(crate) fn works(&self, now: Monotonic) -> bool {
        self.pools
            .values()
            .any(|pool| pool.health().works() && pool.keys().iter().any(|key| key.is_in_use(now)))
    }

    pub(crate) fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.routes.values()
    }

    pub(crate) fn models(&self) -> Vec<ModelInfo> {
        sorted(self.routes.values().map(|route| info(route)).collect())
    }

    pub(crate) fn models_for(&self, tenant: Option<&Tenant>) -> Vec<ModelInfo> {
        let served = self.routes.values().filter(|route| route.serves(tenant));
        sorted(served.map(|route| info(route)).collect())
    }
}

fn sorted(mut models: Vec<ModelInfo>) -> Vec<ModelInfo> {
    models.sort_by(|one, other| one.name.cmp(&other.name));
    models
}

fn not_found(model: &str) -> Error {
    Error::new(ErrorKind::NotFound, "find a model").with_context("model", model.escape_debug())
}

fn info(route: &Route) -> ModelInfo {
    let info = ModelInfo::new(&route.model).with_max_output_tokens(route.max_output);
    match route.context_window {
        Some(tokens) => info.with_context_window(tokens),
        None => info,
    }
}
