//! Whether a configuration can work, told by the path of the field that cannot.

use std::collections::HashMap;

use agentscale_core::{Error, Result};

use super::{Configuration, KeyConfig, ModelConfig, PoolConfig, refused};
use crate::gateway::KeyLimits;

pub(super) fn check(configuration: &Configuration) -> Result<()> {
    let Configuration { pools, models, hints, tenants, budgets, cache, .. } = configuration;
    if models.is_empty() {
        return Err(refused("models", "there is none"));
    }
    let mut ids = HashMap::new();
    for (name, pool) in pools {
        let field = format!("pools.{name}");
        check_pool(&field, pool)?;
        for id in pool.keys.keys() {
            if let Some(other) = ids.insert(id, name) {
                return Err(refused(
                    format!("{field}.keys.{id}"),
                    format!("pool {other} has a key of this id"),
                ));
            }
        }
    }
    let model = |field: String, name: &str| match models.contains_key(name) {
        true => Ok(()),
        false => Err(refused(field, "no such model")),
    };
    for (name, config) in models {
        check_model(&format!("models.{name}"), config, configuration, &model)?;
    }
    for (hint, name) in hints {
        model(format!("hints.{hint}"), name)?;
    }
    for (tenant, config) in tenants {
        for (hint, name) in &config.hints {
            model(format!("tenants.{}.hints.{hint}", tenant.as_str()), name)?;
        }
    }
    for (place, budget) in budgets.iter().enumerate() {
        if let Some(name) = &budget.model {
            model(format!("budgets[{place}].model"), name)?;
        }
        if let Some(field) = budget.contradiction() {
            return Err(refused(format!("budgets[{place}].{field}"), "beside the others it says nothing"));
        }
    }
    match cache.as_ref().map(|cache| (&cache.embedder, &cache.semantic)) {
        Some((Some(embedder), _)) => model("cache.embedder.model".to_owned(), &embedder.model),
        Some((None, Some(_))) => Err(refused("cache.semantic", "there is no embedder")),
        Some((None, None)) | None => Ok(()),
    }
}

fn check_pool(field: &str, pool: &PoolConfig) -> Result<()> {
    if pool.keys.is_empty() {
        return Err(refused(format!("{field}.keys"), "there is none"));
    }
    for (id, key) in &pool.keys {
        check_key(&format!("{field}.keys.{id}"), key, pool)?;
    }
    Ok(())
}

fn check_key(field: &str, key: &KeyConfig, pool: &PoolConfig) -> Result<()> {
    let (provider, at) = match (&key.provider, &pool.provider) {
        (Some(provider), _) => (provider, field.to_owned()),
        (None, Some(provider)) => (provider, field.split(".keys.").next().unwrap_or_default().to_owned()),
        (None, None) => {
            return Err(refused(format!("{field}.provider"), "neither the key nor its pool has one"));
        }
    };
    if provider.has("api_key") {
        return Err(refused(format!("{at}.provider.api_key"), "a key is named by `secret`, where it stands"));
    }
    if key.tenants.as_ref().is_some_and(Vec::is_empty) {
        return Err(refused(format!("{field}.tenants"), "there is none, so that nobody may use it"));
    }
    check_limits(field, &key.limits)
}

fn check_limits(field: &str, limits: &KeyLimits) -> Result<()> {
    let limits = [
        ("requests", limits.requests),
        ("input_tokens", limits.input_tokens),
        ("output_tokens", limits.output_tokens),
        ("tokens", limits.tokens),
        ("concurrency", limits.concurrency.map(u64::from)),
    ];
    match limits.into_iter().find(|(_, limit)| *limit == Some(0)) {
        Some((limit, _)) => Err(refused(format!("{field}.limits.{limit}"), "zero")),
        None => Ok(()),
    }
}

fn check_model(
    field: &str,
    config: &ModelConfig,
    configuration: &Configuration,
    model: &impl Fn(String, &str) -> Result<(), Error>,
) -> Result<()> {
    if config.targets.is_empty() {
        return Err(refused(format!("{field}.targets"), "there is none"));
    }
    let lists = [
        ("targets", config.targets.iter().map(|target| &target.pool).collect::<Vec<_>>()),
        ("overflow", config.overflow.iter().map(|target| &target.pool).collect()),
        ("cheaper", config.cheaper.iter().map(|target| &target.pool).collect()),
    ];
    for (list, named) in lists {
        if let Some(place) = named.iter().position(|pool| !configuration.pools.contains_key(*pool)) {
            return Err(refused(format!("{field}.{list}[{place}].pool"), "no such pool"));
        }
    }
    for (name, value) in
        [("context_window", config.context_window), ("max_output_tokens", config.max_output_tokens)]
    {
        if value == Some(0) {
            return Err(refused(format!("{field}.{name}"), "zero"));
        }
    }
    for (name, other) in [("long_context", &config.long_context), ("on_refusal", &config.on_refusal)] {
        if let Some(other) = other {
            model(format!("{field}.{name}"), other)?;
        }
    }
    Ok(())
}
