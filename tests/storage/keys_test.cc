// Keys, seals and the data directory: what must not open does not.
#include <sys/stat.h>

#include "storage/aead.h"
#include "storage/key_ring.h"
#include "storage/rocksdb/format.h"
#include "storage/sealed_keys.h"
#include "tests/storage/store_fixture.h"

namespace watchword::storage::test {
namespace {

std::string_view view(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Aead, OpensWhatItSealedAndNothingElse) {
  const SecretBytes key = SecretBytes::random(aead_key_bytes), other = SecretBytes::random(aead_key_bytes);
  const std::vector<std::uint8_t> plain{1, 2, 3, 4, 5};
  const std::string sealed = aead_seal(key, "here", plain);
  EXPECT_EQ(sealed.size(), plain.size() + aead_nonce_bytes + aead_tag_bytes);
  EXPECT_EQ(sealed.find(view(plain)), std::string::npos);
  EXPECT_EQ(aead_open(key, "here", sealed)->bytes(), plain);
  EXPECT_NE(aead_seal(key, "here", plain), sealed) << "a nonce is never used twice";
  EXPECT_FALSE(aead_open(other, "here", sealed));
  EXPECT_FALSE(aead_open(key, "there", sealed));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(aead_open(key, "here", changed)) << i;
  }
  for (std::size_t bytes = 0; bytes < sealed.size(); ++bytes) EXPECT_FALSE(aead_open(key, "here", sealed.substr(0, bytes)));
}

TEST(KeyRing, ASealedSecretBelongsToItsUserAndDevice) {
  const SecretBytes master = SecretBytes::random(32);
  const KeyRing ring = open_keys(master, make_key_rows(master, 0));
  const SecretBytes secret = SecretBytes::random(20);
  const std::string sealed = ring.seal("ada", DeviceId{1}, secret);
  EXPECT_EQ(ring.open("ada", DeviceId{1}, sealed)->bytes(), secret.bytes());
  EXPECT_FALSE(ring.open("bob", DeviceId{1}, sealed));
  EXPECT_FALSE(ring.open("ada", DeviceId{2}, sealed));
  const KeyRing other = open_keys(master, make_key_rows(master, 0));
  EXPECT_FALSE(other.open("ada", DeviceId{1}, sealed));
}

TEST(Format, ARowThatWasMovedToAnotherUserDoesNotOpen) {
  const SecretBytes master = SecretBytes::random(32);
  const KeyRing ring = open_keys(master, make_key_rows(master, 0));
  UserRecord user;
  user.user = "ada";
  user.number = {16};
  DeviceRecord device;
  device.id = DeviceId{5};
  device.slot = 1;
  device.name = "phone";
  device.secret = SecretBytes::random(20);
  user.devices.push_back(device);
  const std::string row = encode_row(user, ring);
  EXPECT_EQ(decode_row("ada", row, ring).devices.at(0).secret.bytes(), device.secret.bytes());
  EXPECT_THROW(decode_row("eve", row, ring), StoreError);
  EXPECT_EQ(row.find(view(device.secret.bytes())), std::string::npos);
  for (std::size_t bytes = 0; bytes < row.size(); ++bytes) {
    EXPECT_THROW(decode_row("ada", row.substr(0, bytes), ring), StoreError) << bytes;
  }
  EXPECT_THROW(decode_row("ada", row + "x", ring), StoreError);
}

TEST(Format, ABlockThatIsCutIsAFault) {
  std::string block;
  begin_block(block);
  append_write(block, {{{16}, 1}, {5, 6}});
  append_erase(block, {{32}, 2});
  append_erase_user(block, {48});
  int seen = 0;
  const BlockVisitor visitor{.write = [&](const CellWrite& write) { seen += write.value.word == 5; },
                             .erase = [&](CellKey key) { seen += key.user.value == 32; },
                             .erase_user = [&](UserNumber number) { seen += number.value == 48; }};
  decode_block(block, visitor);
  EXPECT_EQ(seen, 3);
  std::set<std::size_t> whole = {1, 1 + 29, 1 + 29 + 13};
  for (std::size_t bytes = 0; bytes < block.size(); ++bytes) {
    if (whole.contains(bytes)) continue;
    EXPECT_THROW(decode_block(std::string_view(block).substr(0, bytes), visitor), StoreError) << bytes;
  }
  block[0] = 9;
  EXPECT_THROW(decode_block(block, visitor), StoreError);
}

using Directory = StoreTest;

TEST_F(Directory, ASecondOpenerIsToldWhoHasIt) {
  open();
  const std::string said = refusal();
  EXPECT_NE(said.find(std::to_string(getpid())), std::string::npos) << said;
  store.reset();
  EXPECT_EQ(refusal(), "");
}

TEST_F(Directory, AnUnknownFormatIsRefusedAndLeftAlone) {
  std::ofstream(options.data_dir / "FORMAT") << "watchword 2\n";
  EXPECT_NE(refusal().find("watchword 2"), std::string::npos);
  EXPECT_EQ(read_all(options.data_dir / "FORMAT"), "watchword 2\n");
}

TEST_F(Directory, AMasterKeyThatIsLooseMissingOrWrongIsRefused) {
  const auto file = options.data_dir / "master.key";
  for (const mode_t mode : {0640u, 0604u, 0666u}) {
    chmod(file.c_str(), mode);
    EXPECT_NE(refusal().find("chmod 600"), std::string::npos);
  }
  chmod(file.c_str(), 0600);
  EXPECT_EQ(refusal(), "");
  const std::string right = read_all(file);
  for (const std::string& wrong :
       {std::string(64, 'a') + "\n", std::string("short\n"), std::string(), std::string(64, 'x') + "\n"}) {
    std::ofstream(file) << wrong;
    EXPECT_NE(refusal(), "");
  }
  std::filesystem::remove(file);
  EXPECT_NE(refusal().find("master.key"), std::string::npos);
  std::ofstream(file) << right;
  chmod(file.c_str(), 0600);
  EXPECT_EQ(refusal(), "");
}

TEST_F(Directory, IsMadeOnceAndForItsOwnerAlone) {
  EXPECT_THROW(init_data_dir(options), OpenError);
  struct stat data {
  }, key{};
  ASSERT_EQ(stat(options.data_dir.c_str(), &data), 0);
  ASSERT_EQ(stat((options.data_dir / "master.key").c_str(), &key), 0);
  EXPECT_EQ(data.st_mode & 0777, 0700u);
  EXPECT_EQ(key.st_mode & 0777, 0600u);
}

TEST_F(Directory, NoFileHoldsASecretInTheClear) {
  open();
  std::vector<std::string> secrets;
  for (int i = 0; i < 50; ++i) {
    const UserRecord user = person("user-" + std::to_string(i));
    secrets.emplace_back(view(user.devices[0].secret.bytes()));
    put(user);
  }
  const auto expect_none = [&] {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options.data_dir)) {
      if (!entry.is_regular_file()) continue;
      const std::string bytes = read_all(entry.path());
      for (const std::string& secret : secrets) EXPECT_EQ(bytes.find(secret), std::string::npos) << entry.path();
    }
  };
  expect_none();
  store.reset();
  expect_none();
}

}  // namespace
}  // namespace watchword::storage::test
