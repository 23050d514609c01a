/// What went wrong, as a number: exit statuses of the command line (sysexits.h) and results of the C interface.
public enum ExitStatus: Int32, Sendable {
    case checkFailed = 1
    case usage = 64
    case badInput = 65
    case missingInput = 66
    case unsupported = 69
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74

    public init(_ error: any Error) {
        self =
            switch error {
            case let error as ONNXFormatError: Self(error)
            case let error as GraphError: error.kind == .unsupported ? .unsupported : .badInput
            case let error as DataError: Self(error)
            case is UsageError, is SelectionError, is BudgetError: .usage
            case is PrivacyStatementError, is ConversionError: .badInput
            default: .internalError
            }
    }

    private init(_ error: ONNXFormatError) {
        self =
            switch error.kind {
            case .missing: .missingInput
            case .unreadable, .writeFailed: .inputOutput
            case .malformed, .unsupportedType, .externalData: .badInput
            case .cannotCreate: .cannotCreate
            case .invalidEdit: .internalError
            }
    }

    private init(_ error: DataError) {
        self =
            switch error.kind {
            case .missingInput: .missingInput
            case .malformed, .unsupported, .mismatch: .badInput
            case .cannotCreate: .cannotCreate
            case .inputOutput: .inputOutput
            }
    }
}
