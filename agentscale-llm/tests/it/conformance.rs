use agentscale_llm::simulated::SimulatedConfig;
use agentscale_llm::{ExtractiveProvider, SimulatedProvider};

mod extractive {
    use super::*;
    agentscale_core::llm_provider_conformance!(ExtractiveProvider::new());
}

mod simulated {
    use super::*;
    agentscale_core::llm_provider_conformance!({
        let mut config = SimulatedConfig::default();
        config.first_token_ms = 1;
        config.max_concurrency = 8;
        SimulatedProvider::new(config).unwrap()
    });
}

mod boxed {
    use super::*;
    agentscale_core::llm_provider_conformance!(
        Box::new(ExtractiveProvider::new()) as Box<dyn agentscale_core::LlmProvider>
    );
}

mod deployments {
    use agentscale_llm::deployments::{Deployment, Deployments};

    use super::*;

    agentscale_core::llm_provider_conformance!({
        let deployment = || {
            let mut config = SimulatedConfig::default();
            config.first_token_ms = 1;
            Deployment::new(SimulatedProvider::new(config).unwrap(), "simulated")
        };
        Deployments::new("house-model", [deployment(), deployment()]).unwrap()
    });
}

#[cfg(feature = "openai")]
mod openai {
    use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider};

    use crate::model_server;
    use crate::server::Server;

    agentscale_core::llm_provider_conformance!({
        let url = Server::start(model_server::answer).await.detach();
        let config = OpenAiConfig::new().with_base_url(url).with_model("m").with_embedding_model("e");
        std::sync::Arc::new(OpenAiProvider::new(&config).unwrap())
    });
}
