import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/**
 * Drives the Apache Flight SQL JDBC driver as BI tools do, and prints what it saw, a line each: a topic, then
 * tab-separated cells. The last argument chooses what is done.
 *
 * <pre>java FlightSqlClient.java URL metadata
 * java FlightSqlClient.java URL query SQL
 * java FlightSqlClient.java URL prepared SQL TYPE VALUE [TYPE VALUE ...]</pre>
 */
public final class FlightSqlClient {
  private FlightSqlClient() {}

  public static void main(String[] arguments) throws Exception {
    try (Connection connection = DriverManager.getConnection(arguments[0], new Properties())) {
      switch (arguments[1]) {
        case "metadata" -> metadata(connection);
        case "query" -> query(connection, arguments[2]);
        case "prepared" -> prepared(connection, arguments);
        default -> throw new IllegalArgumentException(arguments[1]);
      }
    } catch (SQLException error) {
      line("error", error.getSQLState(), error.getMessage());
    }
  }

  /** What DBeaver and Tableau ask on connecting and when their tree is opened. */
  private static void metadata(Connection connection) throws SQLException {
    DatabaseMetaData meta = connection.getMetaData();
    line("product", meta.getDatabaseProductName(), meta.getDatabaseProductVersion());
    line("driver", meta.getDriverName());
    line("quote", meta.getIdentifierQuoteString());
    line("read_only", meta.isReadOnly(), connection.isReadOnly());
    line("terms", meta.getCatalogTerm(), meta.getSchemaTerm(), meta.getProcedureTerm());
    line("keywords", meta.getSQLKeywords().length() >= 0);
    line("functions", meta.getNumericFunctions(), meta.getStringFunctions(), meta.getSystemFunctions());
    line("time_functions", meta.getTimeDateFunctions());
    line("escape", meta.getSearchStringEscape(), meta.getExtraNameCharacters());
    line("limits", meta.getMaxColumnsInSelect(), meta.getMaxColumnNameLength(), meta.getMaxStatementLength());
    line("limits", meta.getMaxConnections(), meta.getMaxRowSize(), meta.getMaxTablesInSelect());
    line("supports", meta.supportsTransactions(), meta.supportsOuterJoins(), meta.supportsGroupBy());
    line("supports", meta.supportsBatchUpdates(), meta.supportsUnion(), meta.supportsConvert());
    line("supports", meta.supportsANSI92EntryLevelSQL(), meta.supportsMinimumSQLGrammar());
    line("isolation", meta.getDefaultTransactionIsolation(), meta.supportsTransactionIsolationLevel(1));
    line("results", meta.supportsResultSetType(ResultSet.TYPE_FORWARD_ONLY), meta.nullPlusNonNullIsNull());
    rows("catalog", meta.getCatalogs(), "TABLE_CAT");
    rows("schema", meta.getSchemas(), "TABLE_SCHEM", "TABLE_CATALOG");
    rows("schema_like", meta.getSchemas(null, "s%"), "TABLE_SCHEM");
    rows("table_type", meta.getTableTypes(), "TABLE_TYPE");
    rows("table", meta.getTables(null, null, "%", null), "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE");
    rows("only_table", meta.getTables(null, "%", "%", new String[] {"TABLE"}), "TABLE_NAME", "TABLE_TYPE");
    rows("column", meta.getColumns(null, null, "model", null),
        "COLUMN_NAME", "DATA_TYPE", "TYPE_NAME", "COLUMN_SIZE", "DECIMAL_DIGITS", "NULLABLE", "REMARKS", "ORDINAL_POSITION");
    rows("primary_key", meta.getPrimaryKeys(null, null, "model"), "COLUMN_NAME");
    rows("imported_key", meta.getImportedKeys(null, null, "model"), "FKCOLUMN_NAME");
    rows("exported_key", meta.getExportedKeys(null, null, "model"), "FKCOLUMN_NAME");
    rows("cross_reference", meta.getCrossReference(null, null, "model", null, null, "model"), "FKCOLUMN_NAME");
    rows("type", meta.getTypeInfo(), "TYPE_NAME", "DATA_TYPE");
  }

  private static void query(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
      print(result);
    }
  }

  private static void prepared(Connection connection, String[] arguments) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(arguments[2])) {
      ParameterMetaData parameters = statement.getParameterMetaData();
      for (int index = 1; index <= parameters.getParameterCount(); index++) {
        line("parameter", index, parameters.getParameterTypeName(index));
      }
      for (int index = 3; index + 1 < arguments.length; index += 2) {
        bind(statement, (index - 1) / 2, arguments[index], arguments[index + 1]);
      }
      try (ResultSet result = statement.executeQuery()) {
        print(result);
      }
    }
  }

  private static void bind(PreparedStatement statement, int position, String type, String value) throws SQLException {
    switch (type) {
      case "string" -> statement.setString(position, value);
      case "long" -> statement.setLong(position, Long.parseLong(value));
      case "int" -> statement.setInt(position, Integer.parseInt(value));
      case "double" -> statement.setDouble(position, Double.parseDouble(value));
      case "date" -> statement.setDate(position, java.sql.Date.valueOf(value));
      default -> throw new IllegalArgumentException(type);
    }
  }

  private static void print(ResultSet result) throws SQLException {
    ResultSetMetaData meta = result.getMetaData();
    List<Object> labels = new ArrayList<>();
    List<Object> types = new ArrayList<>();
    for (int column = 1; column <= meta.getColumnCount(); column++) {
      labels.add(meta.getColumnLabel(column));
      types.add(meta.getColumnTypeName(column) + "(" + meta.getPrecision(column) + "," + meta.getScale(column) + ")");
    }
    line("labels", labels.toArray());
    line("types", types.toArray());
    while (result.next()) {
      List<Object> cells = new ArrayList<>();
      for (int column = 1; column <= meta.getColumnCount(); column++) {
        // getObject of a zoned timestamp is not implemented in the driver; BI tools call getTimestamp.
        boolean zoned = meta.getColumnTypeName(column).equals("TIMESTAMP_WITH_TIMEZONE");
        Object cell = zoned ? result.getTimestamp(column) : result.getObject(column);
        cells.add(result.wasNull() ? "<null>" : cell);
      }
      line("row", cells.toArray());
    }
  }

  private static void rows(String topic, ResultSet result, String... columns) throws SQLException {
    try (result) {
      while (result.next()) {
        List<Object> cells = new ArrayList<>();
        for (String column : columns) {
          cells.add(result.getString(column));
        }
        line(topic, cells.toArray());
      }
    }
    line("done", topic);
  }

  private static void line(String topic, Object... cells) {
    StringBuilder text = new StringBuilder(topic);
    for (Object cell : cells) {
      text.append('\t').append(String.valueOf(cell).replace('\t', ' ').replace('\n', ' '));
    }
    System.out.println(text);
  }
}
