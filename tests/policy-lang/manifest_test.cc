#include "policy-lang/manifest.h"

#include <gtest/gtest.h>

#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang {
namespace {

Manifest longest() {
  Manifest manifest;
  manifest.flake = *FlakeRef::from(std::string(kMaxFlakeRef, 'f'));
  manifest.kernel = {sha256("kernel"), kMaxKernelBytes};
  manifest.rootfs = {sha256("root"), kMaxRootfsBlocks};
  return manifest;
}

TEST(Manifest, IsWhatItsTextSays) {
  const Manifest manifest = longest();
  const std::string text = print(document_of(manifest));
  EXPECT_LE(text.size(), kMaxManifestBytes);
  const auto parsed = parse(Kind::kManifest, text);
  ASSERT_TRUE(parsed) << parsed.error().message() << text;
  const auto read = read_manifest(*parsed);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->flake, manifest.flake);
  EXPECT_EQ(read->lock, manifest.lock);
  EXPECT_EQ(read->kernel.digest, manifest.kernel.digest);
  EXPECT_EQ(read->kernel.bytes, kMaxKernelBytes);
  EXPECT_EQ(read->rootfs.root, manifest.rootfs.root);
  EXPECT_EQ(read->rootfs.blocks, kMaxRootfsBlocks);
}

TEST(Manifest, RefusesOneThatLacksALine) {
  for (std::size_t without = 0; without < 3; ++without) {
    Document document = document_of(longest());
    document.statements.erase(document.statements.begin() + static_cast<std::ptrdiff_t>(without));
    ASSERT_TRUE(parse(Kind::kManifest, print(document))) << "the form alone is right";
    EXPECT_FALSE(read_manifest(document)) << without;
  }
}

TEST(Manifest, RefusesATextOfAnotherKind) {
  Document document = document_of(longest());
  document.kind = Kind::kState;
  EXPECT_FALSE(read_manifest(document));
}

TEST(FlakeRef, TakesNothingThatIsNotOneWord) {
  EXPECT_TRUE(FlakeRef::from("github:acme/images/4f2c?dir=a&ref=v1.2#worker@x86_64-linux+a~b%20"));
  EXPECT_TRUE(FlakeRef::from(std::string(kMaxFlakeRef, 'f')));
  for (const std::string& text : {std::string(), std::string(kMaxFlakeRef + 1, 'f'), std::string("Github:a"), std::string("./a"), std::string("a b"),
                                  std::string("a\nb"), std::string("a\"b"), std::string("a\\b"), std::string("a\0b", 3), std::string("a\x80"),
                                  std::string("a'b"), std::string("a$b"), std::string("a;b"), std::string("a|b")}) {
    EXPECT_FALSE(FlakeRef::from(text)) << text;
  }
}

// As veritysetup(8) counts them.
TEST(Manifest, KnowsHowManyBlocksATreeHas) {
  EXPECT_EQ(hash_blocks(2), 1u);
  EXPECT_EQ(hash_blocks(128), 1u);
  EXPECT_EQ(hash_blocks(129), 3u);
  EXPECT_EQ(hash_blocks(128 * 128), 129u);
  EXPECT_EQ(hash_blocks(128 * 128 + 1), 132u);
}

}  // namespace
}  // namespace mvm::lang
