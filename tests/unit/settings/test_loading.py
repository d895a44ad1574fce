"""Settings come from a file, the environment and the command line; what is wrong is named."""

import base64

import pytest

from agent_memory.domain.errors import Misconfigured
from agent_memory.settings import VARIABLES, Settings, load_settings


def test_nothing_given_is_the_defaults():
    settings = load_settings({})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.cache.budget_mb == 8192
    assert settings.database.url is None


def test_every_variable_sets_the_key_it_names():
    for key in VARIABLES.values():
        section, _, name = key.rpartition(".")
        assert hasattr(getattr(Settings(), section) if section else Settings(), name), key


def test_a_variable_is_converted_to_its_type():
    settings = load_settings({"SEMANTIC_SERVER_PORT": " 9000 ", "SEMANTIC_MLX_KV_BITS": "8"})
    assert (settings.server.port, settings.cache.kv_bits) == (9000, 8)


@pytest.mark.parametrize(("given", "bits"), [("4", 4), ("k8v4", "k8v4"), ("K8V4", "k8v4")])
def test_bits_are_for_keys_and_values_alike_or_for_each(given, bits, tmp_path):
    assert load_settings({"SEMANTIC_MLX_KV_BITS": given}).cache.kv_bits == bits
    file = tmp_path / "settings.toml"
    file.write_text(f"[cache]\nkv_bits = {bits if isinstance(bits, int) else repr(bits)}\n")
    assert load_settings({}, file=file).cache.kv_bits == bits


def test_origins_are_a_comma_separated_list():
    settings = load_settings({"SEMANTIC_SERVER_CORS_ORIGINS": "https://a.example, https://b.example"})
    assert settings.server.cors_origins == ("https://a.example", "https://b.example")


def test_a_level_may_be_written_in_any_case():
    assert load_settings({"SEMANTIC_SERVER_LOG_LEVEL": "debug"}).server.log_level == "DEBUG"


def test_the_later_source_wins(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("[server]\nport = 1\nhost = '0.0.0.0'\n[model]\nid = 'a/b'\n")
    environ = {"AGENT_MEMORY_SETTINGS": str(file), "SEMANTIC_SERVER_PORT": "2", "SEMANTIC_SERVER_HOST": "::1"}
    settings = load_settings(environ, {"server.port": ("--port", 3)})
    assert (settings.model.id, settings.server.host, settings.server.port) == ("a/b", "::1", 3)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"SEMANTIC_SERVER_PORT": "70000"}, "SEMANTIC_SERVER_PORT=70000: expected int <= 65535"),
        ({"SEMANTIC_SERVER_PORT": "http"}, "SEMANTIC_SERVER_PORT=http: expected int, got str"),
        ({"SEMANTIC_MLX_KV_BITS": "3"}, "SEMANTIC_MLX_KV_BITS=3: must be one of 4, 8, 16"),
        ({"SEMANTIC_MLX_KV_BITS": "k8v3"}, "SEMANTIC_MLX_KV_BITS=k8v3: must be one of 4, 8, 16, k4v8, .*k8v4"),
        (
            {"SEMANTIC_MLX_KV_ATTENTION": "fast"},
            "SEMANTIC_MLX_KV_ATTENTION=fast: must be one of auto, packed, expanded",
        ),
        ({"SEMANTIC_MLX_DEFAULT_TEMPERATURE": "nan"}, "SEMANTIC_MLX_DEFAULT_TEMPERATURE=nan: expected float >="),
        ({"SEMANTIC_SERVER_LOG_LEVEL": "LOUD"}, "must be one of DEBUG, INFO, WARNING, ERROR"),
        ({"DATABASE_URL": "mysql://user:secret@host"}, "^DATABASE_URL: expected str matching regex"),
        ({"SEMANTIC_SERVER_PROT": "1"}, "unknown setting SEMANTIC_SERVER_PROT .* did you mean SEMANTIC_SERVER_PORT?"),
        ({"AGENT_MEMORY_DATADIR": "x"}, "unknown setting AGENT_MEMORY_DATADIR"),
        ({"SUMMARIZATION_TRESHOLD": "5"}, "unknown setting SUMMARIZATION_TRESHOLD .* mean SUMMARIZATION_THRESHOLD?"),
        ({"RATE_LIMIT_WRITE_PER_MINUTE": "5"}, "unknown .* did you mean RATE_LIMIT_WRITES_PER_MINUTE?"),
        ({"AGENT_MEMORY_DATA_DIR": ""}, "AGENT_MEMORY_DATA_DIR: must not be empty"),
        (
            {"AGENT_MEMORY_ENCRYPTION_KEY": ""},
            "ENCRYPTION_KEY: must be 32 bytes in base64, as `openssl.*; these are 0 bytes",
        ),
        (
            {"AGENT_MEMORY_ENCRYPTION_KEY": "c2hvcnQ="},
            "AGENT_MEMORY_ENCRYPTION_KEY: must be 32 bytes .* these are 5 bytes",
        ),
        ({"AGENT_MEMORY_ENCRYPTION_KEY": "not base64!"}, "AGENT_MEMORY_ENCRYPTION_KEY: must be 32 bytes in base64"),
        ({"AGENT_MEMORY_ENCRYPTION_KEY": "Schlüssel"}, "AGENT_MEMORY_ENCRYPTION_KEY: must be 32 bytes in base64"),
        ({"AGENT_MEMORY_DISK_DAILY_WRITE_MB": "-1"}, "AGENT_MEMORY_DISK_DAILY_WRITE_MB=-1: expected int >= 0"),
        ({"DB_MIN_POOL_SIZE": "30"}, "DB_MIN_POOL_SIZE=30: must not exceed DB_MAX_POOL_SIZE=20"),
        ({"AGENT_MEMORY_SETTINGS": "/no/such.toml"}, "settings file /no/such.toml: cannot be read"),
    ],
)
def test_what_is_wrong_is_named(environ, told):
    with pytest.raises(Misconfigured, match=told):
        load_settings(environ)


@pytest.mark.parametrize("name", [n for n in VARIABLES if not n.startswith(("DB_", "DATABASE_", "EMBEDDING_"))])
def test_a_misspelt_name_is_refused(name):
    for misspelt in (name[:-1], f"{name}S", name[:-3] + name[-2:]):
        with pytest.raises(Misconfigured, match=f"unknown setting {misspelt} in the environment"):
            load_settings({misspelt: "5"})


@pytest.mark.parametrize(
    "name",
    [
        "SUMMARIZATION_MODEL",
        "RATE_LIMIT_PER_MINUTE",
        "RATE_LIMIT_ENABLED",
        "SEARCH_CACHE_TTL",
        "RATE_LIMIT_REDIS_URL",
        "DB_MAX_POOL_SIZ",
        "EMBEDDING_MODELS",
        "SEMANTIC_SCHOLAR_API_KEY",
        "SEMANTIC_KERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS",
        "PATH",
    ],
)
def test_a_name_that_may_be_another_programs_is_left_alone(name):
    assert load_settings({name: "5"}) == load_settings({})


def test_a_key_is_read_and_never_repeated():
    key = base64.b64encode(bytes(range(32))).decode()
    assert load_settings({"AGENT_MEMORY_ENCRYPTION_KEY": f" {key}\n"}).cache.encryption == bytes(range(32))
    assert load_settings({}).cache.encryption is None
    for wrong in (key[:-4], f"{key}{key}", f"!{key}"):
        with pytest.raises(Misconfigured) as told:
            load_settings({"AGENT_MEMORY_ENCRYPTION_KEY": wrong})
        assert wrong not in str(told.value)


def test_an_option_is_blamed_by_its_name():
    with pytest.raises(Misconfigured, match=r"--port=-1: expected int >= 0"):
        load_settings({}, {"server.port": ("--port", -1)})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 1", "unknown key server.prot; did you mean server.port?"),
        ("[sever]\nport = 1", "unknown key sever"),
        ("[server]\nport = 70000", "server.port in settings file .*: expected int <= 65535"),
        ("server = 1", "server in settings file .*: expected object"),
        ("port =", "not valid TOML"),
    ],
)
def test_a_fault_in_the_file_is_named(tmp_path, text, told):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(Misconfigured, match=told):
        load_settings({}, file=file)


def test_a_variable_cannot_go_into_what_is_no_table(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("server = 1")
    with pytest.raises(Misconfigured, match=r"server in .*: must be a table"):
        load_settings({"SEMANTIC_SERVER_PORT": "1"}, file=file)


def test_the_home_directory_is_expanded():
    assert "~" not in str(load_settings({"AGENT_MEMORY_DATA_DIR": "~/memory"}).data_folder)
