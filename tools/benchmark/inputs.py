# inputs.py: what the real programs work on, made anew for every run from fixed seeds.
import json
import os
import random
import subprocess


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def sql(folder, items):
    return write(folder, "in.sql", f"""
create table items(id integer primary key, name text, place integer, amount real);
with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {items})
  insert into items select n, 'item ' || hex(n * 7919 % 100003), n % 997, n * 0.25 from numbers;
create index by_name on items(name);
select place, count(*), group_concat(name) from items group by place;
select count(*) from items a join items b on a.place = b.id where a.name > 'item 3';
select upper(name) || '/' || printf('%08.2f', amount) from items order by amount * 7919 % 10007 limit {items // 3};
""")


def python(folder, records):
    return write(folder, "work.py", f"""
import json, collections
class Record:
    def __init__(self, number):
        self.name, self.tags, self.values = f'record {{number}}', [str(number % 97), str(number)], {{'a': number, 'b': number / 3}}
records = [Record(number) for number in range({records})]
text = json.dumps([vars(record) for record in records])
groups = collections.defaultdict(list)
for record in json.loads(text):
    groups[record['tags'][0]].append(sorted(record['values'].items()))
print(len(groups), sum(len(word) for line in text.split('{{') for word in line.split(',')))
""")


def json_records(folder, count):
    numbers = random.Random(1)
    words = [f"word{number}" for number in range(500)]
    records = [
        {"id": number, "group": f"g{number % 97}", "tags": numbers.sample(words, 4), "place": {"x": numbers.random(), "y": None}}
        for number in range(count)
    ]
    return write(folder, "records.json", json.dumps(records))


def git_repository(folder, files, commits):
    """A history of small changes, through git fast-import: the same objects in every run."""
    numbers = random.Random(2)
    contents = {f"src/part{number % 9}/file{number}.txt": [f"line {line} of {number}" for line in range(150)] for number in range(files)}
    stream = []
    for commit in range(commits):
        changed = contents if commit == 0 else numbers.sample(sorted(contents), 6)
        message = f"change {commit}"
        stream.append(f"commit refs/heads/main\ncommitter Someone <someone@example.com> {1700000000 + commit * 60} +0000\n")
        stream.append(f"data {len(message)}\n{message}\n")
        for name in changed:
            lines = contents[name]
            for _ in range(10):
                lines[numbers.randrange(len(lines))] = f"changed in {commit}: {numbers.random()}"
            text = "\n".join(lines)
            stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n")
    path = os.path.join(folder, "repository")
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", path], check=True)
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input="".join(stream).encode(), check=True)
    return path


def heavy_cxx(folder, families):
    """A C++ file that makes a compiler work: many instantiations of the standard library's templates, and recursive ones."""
    includes = "algorithm any functional iostream map memory numeric optional regex set sstream string tuple unordered_map variant vector"
    text = [f"#include <{name}>\n" for name in includes.split()]
    text.append(
        """
template <int N> struct Tree { Tree<N - 1> left; std::tuple<int, Tree<N - 2>> right; int sum() const { return left.sum() + N; } };
template <> struct Tree<0> { int value = 1; int sum() const { return value; } };
template <> struct Tree<-1> { int value = 2; int sum() const { return value; } };
template <typename... Types> struct Visitor : Types... { using Types::operator()...; };
template <typename... Types> Visitor(Types...) -> Visitor<Types...>;
""")
    for number in range(families):
        text.append(
            f"""
namespace family{number} {{
struct Key {{ int a; std::string b; bool operator<(const Key &other) const {{ return std::tie(a, b) < std::tie(other.a, other.b); }} }};
using Value = std::variant<int, std::string, std::vector<Key>, std::map<Key, std::optional<double>>>;
int use(const std::map<Key, Value> &values) {{
    std::unordered_map<std::string, std::function<int(const Value &)>> actions;
    actions["size"] = [](const Value &value) {{
        return std::visit(Visitor{{[](int i) {{ return i; }}, [](const std::string &s) {{ return (int)s.size(); }},
            [](const std::vector<Key> &v) {{
                return std::accumulate(v.begin(), v.end(), {number}, [](int x, const Key &k) {{ return x + k.a; }}); }},
            [](const auto &m) {{ return (int)m.size(); }}}}, value);
    }};
    std::vector<std::pair<Key, int>> sorted;
    for (const auto &[key, value] : values) sorted.emplace_back(key, actions.at("size")(value));
    std::sort(sorted.begin(), sorted.end(), [](const auto &x, const auto &y) {{ return x.second * {number + 3} < y.second; }});
    std::regex pattern("a+b*{number}");
    std::ostringstream text;
    for (auto &[key, size] : sorted) if (std::regex_match(key.b, pattern)) text << key.b << size;
    return (int)text.str().size() + Tree<{number % 12 + 8}>().sum();
}}
}}
""")
    return write(folder, "heavy.cpp", "".join(text))
