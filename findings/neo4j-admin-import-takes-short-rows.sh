#!/usr/bin/env bash
# Expected: a row with fewer cells than the header has columns is refused, as one with more cells is; a type is a
#           check.
# Happens:  a short row is imported without the properties that it lacks, and so is a file that was cut within a
#           row; a column whose header is empty is left out; a `char` of five characters is a string of five. The
#           import ends with 0 and names none of it.
# Matters:  an export that was cut short, or lost a delimiter, is imported as if it were whole.
# Version:  neo4j-import-tool 5.26.0 (Maven Central, by mvn), which is `neo4j-admin database import full`; Java 17.
#           Found by importing files of each kind and reading the store.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > pom.xml <<'XML'
<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.neo4j</groupId><artifactId>neo4j-import-tool</artifactId><version>5.26.0</version></dependency>
<dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>5.26.0</version></dependency>
</dependencies></project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib > /dev/null || exit 2
cat > Show.java <<'JAVA'
import java.util.TreeMap;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

public class Show {
  public static void main(String[] given) {
    var service = new DatabaseManagementServiceBuilder(java.nio.file.Path.of(given[0])).build();
    try (var tx = service.database("neo4j").beginTx(); var nodes = tx.getAllNodes()) {
      nodes.forEach(node -> System.out.println("NODE " + new TreeMap<>(node.getAllProperties())));
    } finally {
      service.shutdown();
    }
  }
}
JAVA
printf 'id:ID,,kind:char,name,born:int\n1,unnamed,abcde,Ada,1815\n2,x,y\n3,unnamed,z,Charles,17' > nodes.csv
mkdir -p home/conf
NEO4J_HOME=$work/home NEO4J_CONF=$work/home/conf java -Xmx512m -cp 'lib/*' org.neo4j.cli.AdminTool \
    database import full neo4j --nodes=nodes.csv > told.txt 2>&1 && ended=0 || ended=$?
java -Xmx512m -cp 'lib/*' Show.java "$work/home" 2> /dev/null | grep ^NODE > seen.txt || true
cat > stated.txt <<'TXT'
NODE {born=1815, id=1, kind=abcde, name=Ada}
NODE {id=2, kind=y}
NODE {born=17, id=3, kind=z, name=Charles}
TXT
echo "neo4j-import-tool 5.26.0"
echo "A short row, a file that is cut within its last row, an unnamed column and a long char are imported: exit 0."
cat seen.txt
if [ "$ended" != 0 ] || ! diff stated.txt seen.txt; then
    echo "changed: exit $ended"
    exit 1
fi
