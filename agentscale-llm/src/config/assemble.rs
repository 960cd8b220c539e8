//! From a configuration's parts to the builder's.

use std::sync::Arc;

use agentscale_core::llm::LlmProvider;

use super::{Configuration, KeyConfig};
use crate::gateway::{GatewayBuilder, GatewayModel, ProviderKey};

pub(super) fn provider_key(id: &str, config: &KeyConfig, provider: Arc<dyn LlmProvider>) -> ProviderKey {
    let key = ProviderKey::shared(id, provider).with_limits(config.limits.clone());
    let key = match &config.quota {
        Some(quota) => key.with_quota(quota),
        None => key,
    };
    match &config.tenants {
        Some(tenants) => key.for_tenants(tenants.iter().cloned()),
        None => key,
    }
}

/// Models, names, budgets and prices.
pub(super) fn add_models(mut builder: GatewayBuilder, configuration: &Configuration) -> GatewayBuilder {
    for (name, config) in &configuration.models {
        let mut model = GatewayModel::new(name);
        for target in &config.targets {
            model = model.via(&target.pool, target.model.as_ref().unwrap_or(name));
        }
        for target in &config.overflow {
            model = model.overflowing_to(&target.pool, target.model.as_ref().unwrap_or(name));
        }
        for target in &config.cheaper {
            model = model.cheaper_for(target.class, &target.pool, target.model.as_ref().unwrap_or(name));
        }
        if let Some(tokens) = config.context_window {
            model = model.with_context_window(tokens);
        }
        if let Some(tokens) = config.max_output_tokens {
            model = model.with_max_output_tokens(tokens);
        }
        if let Some(other) = &config.long_context {
            model = model.with_long_context(other);
        }
        if let Some(other) = &config.on_refusal {
            model = model.on_refusal(other);
        }
        if config.continues {
            model = model.continuing();
        }
        builder = builder.model(model);
    }
    for (hint, model) in &configuration.hints {
        builder = builder.hint(hint, model);
    }
    for budget in &configuration.budgets {
        builder = builder.budget(budget.budget());
    }
    builder = builder.prices(configuration.prices.table());
    for (tenant, config) in &configuration.tenants {
        if let Some(weight) = config.weight {
            builder = builder.weight(tenant.clone(), weight);
        }
        for (hint, model) in &config.hints {
            builder = builder.hint_for(tenant.clone(), hint, model);
        }
    }
    builder
}
