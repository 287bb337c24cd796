#include "api/admin_answers.h"
#include "api/admin_jobs.h"
#include "api/export_rows.h"
#include "api/header_text.h"
#include "api/import_rows.h"
#include "api/problem.h"

namespace watchword::api {

tl::expected<std::unique_ptr<ImportRows>, Response> begin_import(const AdminCall& call) {
  QueryFields query(call.target);
  const std::string shorter = query.text("allow_short_secrets").value_or("false");
  if (shorter != "true" && shorter != "false")
    query.refuse("allow_short_secrets", "\"allow_short_secrets\" is true or false.");
  if (const std::optional<RequestFault> fault = query.finish()) return tl::unexpected(problem(*fault));
  const std::size_t secret_bytes_min = shorter == "true" ? engine::short_secret_bytes_min : engine::secret_bytes_min;
  return std::make_unique<ImportRows>(call.engine.registrar, call.request.origin, secret_bytes_min);
}

// A body that was there at once.
Response import_devices(const AdminCall& call) {
  const auto rows = begin_import(call);
  if (!rows) return rows.error();
  if (std::optional<Response> over = (*rows)->take(call.request.body)) return std::move(*over);
  return (*rows)->finish();
}

Response export_devices(const AdminCall& call) {
  Response response;
  response.content_type = "application/x-ndjson";
  response.more = std::make_shared<ExportRows>(call.engine.store);
  return response;
}

}  // namespace watchword::api
