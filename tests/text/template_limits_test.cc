// Hostile templates end with kTemplateError: no crash, no memory, no time.
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "text/chat_template.h"

namespace vsurge::text {
namespace {

std::string repeated(std::string_view part, std::size_t count) {
  std::string text;
  text.reserve(part.size() * count);
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

std::string error_of(std::string_view source, std::string_view context = "{}") {
  const auto made = ChatTemplate::compile(source);
  if (!made) {
    EXPECT_EQ(made.error().code, base::ErrorCode::kTemplateError);
    return made.error().message;
  }
  const auto text = made->render(context, 0);
  if (text) return "";
  EXPECT_EQ(text.error().code, base::ErrorCode::kTemplateError) << text.error().message;
  return text.error().message;
}

TEST(TemplateLimits, BombsEndInTimeAndMemory) {
  const std::string loop = "{% for i in range(99999) %}";
  const std::string bombs[] = {
      "{{ 'a' * 10**9 }}",
      "{{ [0] * 10**9 }}",
      "{{ 10**10**10 }}",
      "{% set n = namespace(s='abcdefgh') %}" + loop + "{% set n.s = n.s ~ n.s %}{% endfor %}",
      "{% set n = namespace(s=[1]) %}" + loop + "{% set n.s = n.s + n.s %}{% endfor %}",
      "{% set n = namespace(s=[1]) %}" + loop + "{% set n.s = [n.s] %}{% endfor %}",
      "{% set n = namespace(s=[1]) %}" + loop + "{% set n.s = {'a': n.s, 'b': n.s} %}{% endfor %}",
      "{% set n = namespace(s=[1], t='abcd' * 99999) %}" + loop +
          "{% set n.s = n.s + [n.t ~ i] %}{% endfor %}",
      loop + loop + loop + "{% endfor %}{% endfor %}{% endfor %}",
      loop + loop + repeated("x", 9999) + "{% endfor %}{% endfor %}",
      "{% set s %}" + loop + loop + "{{ 'abcdefgh' * 99 }}{% endfor %}{% endfor %}{% endset %}",
      "{{ '%1000000000d' % 1 }}",
      "{{ '%*d' % (1000000000, 1) }}",
      "{{ '%.999999f' % 1e300 * 99 }}",
      "{{ '{:>999999999}'.format(1) }}",
      "{{ (range(99999) | list) | join('x' * 99999) }}",
      "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
      "{{ ('a' * 9999999) | list | length }}",
      "{{ 'a' | center(10**10) }}{{ 'a' | indent(10**10) }}{{ 'a'.ljust(10**10) }}",
      "{{ 'a'.zfill(10**10) }}",
      "{{ [1] | batch(10**9, 'x') | list }}",
      "{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}",
      "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
      "{% macro a() %}{% call a() %}x{% endcall %}{{ caller() }}{% endmacro %}{{ a() }}",
      "{% for x in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
      "{% macro f() %}" + repeated("{{ 'aaaaaaaaaaaaaaaa' }}", 999) + "{% endmacro %}" + loop +
          "{{ f() }}{% endfor %}",
      "{{ x | tojson(indent=10**9) * 10**9 }}",
  };
  for (const auto& bomb : bombs) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(error_of(bomb), "") << bomb.substr(0, 200);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT(usage.ru_maxrss, 900 * 1024) << "kilobytes at the most";
}

// Look-ups and comparisons of what is long: each is one step of the template.
TEST(TemplateLimits, LongKeysEndInTime) {
  const std::string loop = "{% for i in range(99999) %}";
  const std::string made = "{% set t = (range(99999) | list) * 20 %}{% set k = dict([[0, 0]]) %}";
  const std::string keys = "{% set a = ((0,) * 999999,) %}{% set b = ((0,) * 999999,) %}";
  const std::string texts = "{% set a = 'a' * 9999999 %}{% set b = 'a' * 9999999 %}";
  const std::string twice = "{% for j in range(99999) %}";
  const std::string look = "{% set x = d[b] %}{{ b in d }}{{ d.get(b) }}";
  const std::string cases[] = {
      keys + "{% set d = {a: 1} %}" + loop + twice + look + "{% endfor %}{% endfor %}",
      texts + "{% set d = {a: 1} %}" + loop + twice + look + "{% endfor %}{% endfor %}",
      keys + loop + twice + "{% set x = a == b %}{% endfor %}{% endfor %}",
      texts + loop + twice + "{% set x = a == b %}{% set y = a < b %}{% endfor %}{% endfor %}",
      keys + loop + twice + "{% set x = [a].index(b) %}{% set y = [[a]] | unique | list %}" +
          "{% endfor %}{% endfor %}",
      made + "{% set n = namespace(p=[]) %}{% for i in range(60000) %}" +
          "{% set n.p = n.p + [[i, 0]] if i < 2000 else n.p %}{% endfor %}" + loop +
          "{% set x = dict(n.p) == dict(n.p) %}{% endfor %}",
      "{% set k = (0,) * 9999 %}{% set n = namespace(p=[]) %}{% for i in range(2000) %}" +
          std::string("{% set n.p = n.p + [[(k, i), 0]] %}{% endfor %}") + loop +
          "{% set x = dict(n.p) %}{% endfor %}",
  };
  base::TemplateLimits limits;
  limits.render_time_ms_max = 500;
  for (const auto& source : cases) {
    const auto compiled = ChatTemplate::compile(source, limits);
    ASSERT_TRUE(compiled) << compiled.error().message;
    const auto begin = std::chrono::steady_clock::now();
    const auto text = compiled->render("{}", 0);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    EXPECT_FALSE(text) << source;
    EXPECT_LT(taken.count(), 1.0) << source << (text ? "" : text.error().message);
  }
}

TEST(TemplateLimits, DeepSourcesAreRefused) {
  const std::string sources[] = {
      "{{ " + repeated("(", 100'000) + "1" + repeated(")", 100'000) + " }}",
      repeated("{% if x %}", 60'000) + repeated("{% endif %}", 60'000),
      repeated("{% for x in y %}", 40'000),
      "{{ x" + repeated("|upper", 100'000) + " }}",
      "{{ 1" + repeated(" ~ 1", 100'000) + " }}",
      "{{ " + repeated("not ", 100'000) + "1 }}",
      "{{ " + repeated("-", 100'000) + "1 }}",
      "{{ " + repeated("[", 100'000),
      "{% if x %}" + repeated("{% elif x %}", 80'000) + "{% endif %}",
      repeated("x", base::TemplateLimits{}.source_bytes_max + 1),
  };
  for (const auto& source : sources) {
    EXPECT_NE(error_of(source), "") << source.substr(0, 60);
  }
}

TEST(TemplateLimits, OddSourcesAndContexts) {
  EXPECT_NE(error_of("\xff\xfe"), "");
  EXPECT_NE(error_of("{{"), "");
  EXPECT_NE(error_of("{% if %}"), "");
  EXPECT_NE(error_of("{% endfor %}"), "");
  EXPECT_NE(error_of("{% include 'x' %}"), "");
  EXPECT_NE(error_of("{{ x | nothing }}"), "");
  EXPECT_NE(error_of("x", "[]"), "");
  EXPECT_NE(error_of("x", "{\"a\": }"), "");
  EXPECT_NE(error_of("x", "{\"a\": \"\xff\"}"), "");
  EXPECT_NE(error_of("x", "{\"a\":" + repeated("[", 100'000)), "");
  EXPECT_NE(error_of("{{ 1 // 0 }}"), "");
  EXPECT_EQ(error_of(""), "");
}

TEST(TemplateLimits, ALongMessageIsCut) {
  EXPECT_LT(error_of("{{ raise_exception('x' * 1000000) }}").size(), 4000u);
}

TEST(TemplateLimits, RendersAreIndependentOfEachOther) {
  const auto made = ChatTemplate::compile(
      "{% for m in messages %}{{ m.content }};{% endfor %}{{ strftime_now('%Y') }}");
  ASSERT_TRUE(made);
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&made, t] {
      for (int i = 0; i < 200; ++i) {
        const auto context = fmt::format("{{\"messages\":[{{\"content\":{}}}]}}", t * 1000 + i);
        const auto text = made->render(context, 0);
        ASSERT_TRUE(text);
        ASSERT_EQ(*text, fmt::format("{};1970", t * 1000 + i));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace vsurge::text
