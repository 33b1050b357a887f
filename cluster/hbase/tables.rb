# punchcard's tables in HBase, of 16 regions each from the beginning (docs/cluster-hbase.md):
#
#     hbase shell -n cluster/hbase/tables.rb
#
# The namespace is that of `table_prefix: "pc:"` in punchcard.yaml. Keys begin with two bytes of a hash, so all regions get the same share;
# take as many as there will be region servers, times four. COMPRESSION => 'SNAPPY' may be added to each family.
# Where the AccessController is on, afterwards: grant 'punchcard', 'RWC', '@pc'
create_namespace 'pc'
create 'pc:accounts', {NAME => 'p', VERSIONS => 1, BLOOMFILTER => 'ROW', DATA_BLOCK_ENCODING => 'FAST_DIFF'}, {NAME => 's', VERSIONS => 1, BLOOMFILTER => 'ROW', DATA_BLOCK_ENCODING => 'FAST_DIFF'}, {NAME => 'e', VERSIONS => 1, BLOOMFILTER => 'ROW', DATA_BLOCK_ENCODING => 'FAST_DIFF'}, SPLITS => ["\x10\x00", "\x20\x00", "\x30\x00", "\x40\x00", "\x50\x00", "\x60\x00", "\x70\x00", "\x80\x00", "\x90\x00", "\xA0\x00", "\xB0\x00", "\xC0\x00", "\xD0\x00", "\xE0\x00", "\xF0\x00"]
create 'pc:orders', {NAME => 'o', VERSIONS => 1, BLOOMFILTER => 'ROW', DATA_BLOCK_ENCODING => 'FAST_DIFF'}, SPLITS => ["\x10\x00", "\x20\x00", "\x30\x00", "\x40\x00", "\x50\x00", "\x60\x00", "\x70\x00", "\x80\x00", "\x90\x00", "\xA0\x00", "\xB0\x00", "\xC0\x00", "\xD0\x00", "\xE0\x00", "\xF0\x00"]
