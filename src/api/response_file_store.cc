// The store in an SQLite file.
#include <sqlite3.h>

#include <array>
#include <mutex>
#include <utility>

#include "api/response_store.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

constexpr int kApplicationId = 0x76537267;  // "vSrg", in the file's header
constexpr int kVersion = 1;
constexpr int kBusyTimeoutMs = 2000;

// The write-ahead log is enough for the end of the process; a file system that loses power may lose
// the last moments, never the file (SQLite: "WAL mode does not sync the WAL on each transaction
// with synchronous=NORMAL").
constexpr const char* kSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS responses (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  bytes INTEGER NOT NULL, owner TEXT NOT NULL, object TEXT NOT NULL, input TEXT NOT NULL,
  history TEXT NOT NULL, output TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS response_bytes ON responses (bytes);
CREATE TABLE IF NOT EXISTS conversations (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL, created INTEGER NOT NULL, metadata TEXT NOT NULL, items TEXT NOT NULL);
)";

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

base::Error error_of(sqlite3* database, std::string_view what) {
  return {ErrorCode::kEnvironment,
          fmt::format("response store: {}: {}", what, sqlite3_errmsg(database)), ""};
}

// One run of one statement.
class Statement {
 public:
  static base::Result<Statement> make(sqlite3* database, std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement,
                           nullptr) != SQLITE_OK) {
      return std::unexpected(error_of(database, "prepare"));
    }
    return Statement(database, statement);
  }

  Statement& bind(std::string_view text) {
    sqlite3_bind_text64(statement_.get(), ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    return *this;
  }
  Statement& bind(std::int64_t number) {
    sqlite3_bind_int64(statement_.get(), ++bound_, number);
    return *this;
  }
  // Whether there is a row.
  base::Result<bool> step() {
    const int result = sqlite3_step(statement_.get());
    if (result == SQLITE_ROW) return true;
    if (result == SQLITE_DONE) return false;
    return std::unexpected(error_of(database_, "step"));
  }
  std::string text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data == nullptr ? std::string() : std::string(data, size);
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_.get(), column); }

 private:
  Statement(sqlite3* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

class FileStore final : public ResponseStore {
 public:
  FileStore(Database database, const ResponseStoreLimits& limits)
      : database_(std::move(database)), limits_(limits) {}

  base::Status put(StoredResponse entry) override {
    const std::scoped_lock lock(mutex_);
    const auto bytes = static_cast<std::int64_t>(entry.object.size() + entry.input.size() +
                                                 entry.history.size() + entry.output.size());
    auto insert = VSURGE_TRY(
        Statement::make(database_.get(),
                        "INSERT INTO responses (id, bytes, owner, object, input, history, output) "
                        "VALUES (?, ?, ?, ?, ?, ?, ?)"));
    insert.bind(entry.id).bind(bytes).bind(entry.owner).bind(entry.object).bind(entry.input);
    insert.bind(entry.history).bind(entry.output);
    VSURGE_TRY(insert.step());
    return trim_responses();
  }

  base::Result<std::optional<StoredResponse>> response(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    auto select = VSURGE_TRY(Statement::make(
        database_.get(),
        "SELECT id, owner, object, input, history, output FROM responses WHERE id = ?"));
    select.bind(id);
    if (!VSURGE_TRY(select.step())) return std::nullopt;
    return StoredResponse{select.text(0), select.text(1), select.text(2),
                          select.text(3), select.text(4), select.text(5)};
  }

  base::Result<bool> erase_response(std::string_view id) override {
    return erase("DELETE FROM responses WHERE id = ?", id);
  }

  base::Status put(StoredConversation entry) override {
    const std::scoped_lock lock(mutex_);
    auto insert = VSURGE_TRY(Statement::make(
        database_.get(),
        "INSERT OR REPLACE INTO conversations (id, owner, created, metadata, items) "
        "VALUES (?, ?, ?, ?, ?)"));
    insert.bind(entry.id).bind(entry.owner).bind(entry.created);
    insert.bind(entry.metadata).bind(entry.items);
    VSURGE_TRY(insert.step());
    auto trim = VSURGE_TRY(Statement::make(
        database_.get(),
        "DELETE FROM conversations WHERE number <= (SELECT number FROM conversations "
        "ORDER BY number DESC LIMIT 1 OFFSET ?)"));
    trim.bind(static_cast<std::int64_t>(limits_.conversations_max));
    VSURGE_TRY(trim.step());
    return {};
  }

  base::Result<std::optional<StoredConversation>> conversation(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    auto select = VSURGE_TRY(Statement::make(
        database_.get(),
        "SELECT id, owner, created, metadata, items FROM conversations WHERE id = ?"));
    select.bind(id);
    if (!VSURGE_TRY(select.step())) return std::nullopt;
    return StoredConversation{select.text(0), select.text(1), select.number(2), select.text(3),
                              select.text(4)};
  }

  base::Result<bool> erase_conversation(std::string_view id) override {
    return erase("DELETE FROM conversations WHERE id = ?", id);
  }

 private:
  base::Result<bool> erase(std::string_view sql, std::string_view id) {
    const std::scoped_lock lock(mutex_);
    auto statement = VSURGE_TRY(Statement::make(database_.get(), sql));
    statement.bind(id);
    VSURGE_TRY(statement.step());
    return sqlite3_changes(database_.get()) > 0;
  }

  // Oldest first: by number of entries, and by their bytes.
  base::Status trim_responses() {
    auto by_count = VSURGE_TRY(
        Statement::make(database_.get(),
                        "DELETE FROM responses WHERE number <= (SELECT number FROM responses "
                        "ORDER BY number DESC LIMIT 1 OFFSET ?)"));
    by_count.bind(static_cast<std::int64_t>(limits_.entries_max));
    VSURGE_TRY(by_count.step());
    // The index holds all that is summed.
    for (;;) {
      auto sum = VSURGE_TRY(
          Statement::make(database_.get(), "SELECT TOTAL(bytes), COUNT(*) FROM responses"));
      VSURGE_TRY(sum.step());
      if (sum.number(0) <= static_cast<std::int64_t>(limits_.bytes_max) || sum.number(1) <= 1) {
        return {};
      }
      auto oldest = VSURGE_TRY(Statement::make(
          database_.get(),
          "DELETE FROM responses WHERE number = (SELECT MIN(number) FROM responses)"));
      VSURGE_TRY(oldest.step());
    }
  }

  std::mutex mutex_;
  Database database_;  // guarded by mutex_
  const ResponseStoreLimits limits_;
};

base::Status run(sqlite3* database, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return std::unexpected(error_of(database, "set-up"));
}

base::Result<std::int64_t> pragma(sqlite3* database, std::string_view name) {
  auto statement = VSURGE_TRY(Statement::make(database, fmt::format("PRAGMA {}", name)));
  VSURGE_TRY(statement.step());
  return statement.number(0);
}

// A new file is marked as ours; another's is left alone.
base::Status check_owner(sqlite3* database, const std::filesystem::path& path) {
  const auto id = VSURGE_TRY(pragma(database, "application_id"));
  const auto version = VSURGE_TRY(pragma(database, "user_version"));
  if (id == kApplicationId && version == kVersion) return {};
  const auto tables = VSURGE_TRY(pragma(database, "schema_version"));
  if (id != 0 || version != 0 || tables != 0) {
    return base::fail(ErrorCode::kEnvironment,
                      "{}: this is no response store of this version; name another file",
                      path.string());
  }
  VSURGE_TRY(run(database, fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}",
                                       kApplicationId, kVersion)
                               .c_str()));
  return {};
}

}  // namespace

base::Result<std::unique_ptr<ResponseStore>> open_file_store(const std::filesystem::path& path,
                                                             const ResponseStoreLimits& limits) {
  sqlite3* raw = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &raw,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  Database database(raw);
  if (result != SQLITE_OK) {
    return base::fail(ErrorCode::kEnvironment, "{}: cannot be opened: {}", path.string(),
                      sqlite3_errstr(result));
  }
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  VSURGE_TRY(check_owner(raw, path));
  VSURGE_TRY(run(raw, kSchema));
  return std::make_unique<FileStore>(std::move(database), limits);
}

}  // namespace vsurge::api
