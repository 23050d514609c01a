/// Rows of text in aligned columns.
struct Table {
    private var rows: [[String]]

    init(header: [String]) { rows = [header] }

    mutating func add(_ cells: String...) { rows.append(cells.map(oneLine)) }

    var text: String {
        let columns = rows[0].indices
        let widths = columns.map { column in rows.map { $0[column].count }.max()! }
        return rows.map { row in
            var line = ""
            for column in columns {
                line += row[column]
                if column != columns.last {
                    line += String(repeating: " ", count: widths[column] - row[column].count + 2)
                }
            }
            return line
        }.joined(separator: "\n")
    }
}
