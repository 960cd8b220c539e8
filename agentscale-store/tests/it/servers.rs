//! The servers that suites here run on: `cargo xtask servers -- COMMAND` starts them.

use agentscale_core::testkit::TestServer;

/// Under `cargo xtask test` a server that is missing fails here, by name; elsewhere it is said.
#[test]
fn what_is_left_out_without_servers_is_said() {
    for server in
        [TestServer::Postgres, TestServer::PgBouncer, TestServer::PreparedPgBouncer, TestServer::Redis]
    {
        server.url();
    }
}
