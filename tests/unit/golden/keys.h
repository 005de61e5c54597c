/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys derived from fixed_keys() in format_test.h: made once, by another
 * implementation of HKDF and X25519 than the one under test.
 */
#define GOLDEN_PK \
	"ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6b"
#define GOLDEN_BLOCK_ID \
	"69a91a49fe0a4a8a35dbc10a2f38e1f584b2d7569c9d2c227110ae4d406e5e85"
#define GOLDEN_CHUNKER \
	"2209c312969fea7565600dcdd8eca55f"
#define GOLDEN_TREE_CUT \
	"36d1929d625024892b867a8893fdd4b9b97857c92a93842e9379a33a3ce9bb6d"
#define GOLDEN_CONFIG_MAC \
	"8f31c349ae57bb3d1611ff306ba7cc971b1cebbeee7f3ee003a6ecc87405c6eb"
#define GOLDEN_SEGMENT \
	"0762bd7661719a29105f9186ad4c1b7aec0866b2659c0c6df990a6bbd85072f0"
#define GOLDEN_FOOTER \
	"e994497665e20c7dc2c6961eed0cc6e2f4d7b670ad9f084e278fc7d9ab77581c"
#define GOLDEN_GENERATION \
	"d392413aa0601f396afdea229f39ad324d0e67bef55f200fd53cc0420482ff72"
#define GOLDEN_SERIES_TAG \
	"e2251fab4b30b9b6304b2a1dc2f6cbde95b753735ae601065f8b005780eb17bf"
#define GOLDEN_LOCAL \
	"e4fe65cd89542cb94fac4d16eab4cd17e5a886ceaeccee2f69eff2cf9ce1aa57"
